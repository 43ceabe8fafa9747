// SPDX-License-Identifier: Apache-2.0
#include "bench/routing_tool/workload.hpp"

#include <fstream>
#include <optional>

#include <fmt/format.h>
#include <simdjson.h>

#include "protocol/field_table.hpp"
#include "routing/table.hpp"

namespace trilby::bench {
namespace {

using Problem = std::optional<std::string>;
using simdjson::dom::element_type;

constexpr std::size_t longest_short_string = 255;

/// read(line) says what is wrong with the line, or nothing.
template <class Read>
Problem each_line(const std::string& file, Read read) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) return fmt::format("{}: cannot be opened.", file);
    std::size_t number = 0;
    for (std::string line; std::getline(stream, line);) {
        ++number;
        if (Problem problem = read(line)) return fmt::format("{}:{}: {}", file, number, *problem);
    }
    if (stream.bad()) return fmt::format("{}: cannot be read.", file);
    return std::nullopt;
}

Problem too_long(std::string_view what, std::string_view text) {
    if (text.size() <= longest_short_string) return std::nullopt;
    return fmt::format("the {} has {} bytes, but at most {} are possible.", what, text.size(),
                       longest_short_string);
}

Problem append_fields(protocol::TableBuilder& out, simdjson::dom::object object);

Problem append_element(protocol::ArrayBuilder& out, simdjson::dom::element element) {
    switch (element.type()) {
        case element_type::STRING: out.string(std::string_view(element)); return std::nullopt;
        case element_type::INT64: out.integer(std::int64_t(element)); return std::nullopt;
        case element_type::BOOL: out.boolean(bool(element)); return std::nullopt;
        case element_type::OBJECT: {
            protocol::TableBuilder inner;
            if (auto problem = append_fields(inner, element)) return problem;
            out.table(protocol::TableView(inner.take()));
            return std::nullopt;
        }
        default: return "an array may hold strings, integers, booleans and objects only.";
    }
}

Problem append_fields(protocol::TableBuilder& out, simdjson::dom::object object) {
    for (const auto& [name, value] : object) {
        if (auto problem = too_long("name", name)) return problem;
        switch (value.type()) {
            case element_type::STRING: out.string(name, std::string_view(value)); break;
            case element_type::INT64: out.integer(name, std::int64_t(value)); break;
            case element_type::UINT64: return fmt::format("the number of '{}' does not fit 63 bits.", name);
            case element_type::DOUBLE: out.double_(name, double(value)); break;
            case element_type::BOOL: out.boolean(name, bool(value)); break;
            case element_type::NULL_VALUE: out.void_(name); break;
            case element_type::OBJECT: {
                protocol::TableBuilder inner;
                if (auto problem = append_fields(inner, value)) return problem;
                const std::string table = inner.take();
                out.table(name, protocol::TableView(table));
                break;
            }
            case element_type::ARRAY: {
                protocol::ArrayBuilder inner;
                for (const auto element : simdjson::dom::array(value)) {
                    if (auto problem = append_element(inner, element)) return problem;
                }
                const std::string array = inner.take();
                out.array(name, array);
                break;
            }
        }
    }
    return std::nullopt;
}

Problem read_object(simdjson::dom::parser& parser, const std::string& line, simdjson::dom::object& object) {
    simdjson::dom::element document;
    if (const auto error = parser.parse(line).get(document)) {
        return fmt::format("this is not JSON: {}.", simdjson::error_message(error));
    }
    if (document.get(object)) return "a JSON object is expected.";
    return std::nullopt;
}

Problem read_binding(simdjson::dom::object object, WorkloadBinding& binding) {
    std::string_view queue;
    if (object["queue"].get(queue)) return "there is no string \"queue\".";
    if (auto problem = too_long("queue name", queue)) return problem;
    simdjson::dom::object arguments;
    if (object["arguments"].get(arguments)) return "there is no object \"arguments\".";
    protocol::TableBuilder table;
    if (auto problem = append_fields(table, arguments)) return problem;
    binding = {std::string(queue), {}, table.take()};
    const auto error = routing::headers_binding_error(protocol::TableView(binding.arguments));
    return error ? Problem(*error + ".") : std::nullopt;
}

}  // namespace

std::expected<Workload, std::string> read_topic_workload(const std::string& bindings_file,
                                                         const std::string& keys_file) {
    Workload workload;
    Problem problem = each_line(bindings_file, [&](const std::string& line) -> Problem {
        const auto tab = line.find('\t');
        if (tab == std::string::npos || tab + 1 == line.size()) return "`pattern TAB queue` is expected.";
        workload.bindings.push_back({line.substr(tab + 1), line.substr(0, tab), {}});
        if (auto long_queue = too_long("queue name", workload.bindings.back().queue)) return long_queue;
        return too_long("pattern", workload.bindings.back().key);
    });
    if (!problem) {
        problem = each_line(keys_file, [&](const std::string& line) -> Problem {
            workload.messages.push_back({line, {}});
            return too_long("key", line);
        });
    }
    if (problem) return std::unexpected(*problem);
    return workload;
}

std::expected<Workload, std::string> read_headers_workload(const std::string& bindings_file,
                                                           const std::string& keys_file) {
    Workload workload;
    simdjson::dom::parser parser;
    Problem problem = each_line(bindings_file, [&](const std::string& line) -> Problem {
        simdjson::dom::object object;
        if (auto bad = read_object(parser, line, object)) return bad;
        return read_binding(object, workload.bindings.emplace_back());
    });
    if (!problem) {
        problem = each_line(keys_file, [&](const std::string& line) -> Problem {
            simdjson::dom::object object;
            if (auto bad = read_object(parser, line, object)) return bad;
            protocol::TableBuilder table;
            if (auto bad = append_fields(table, object)) return bad;
            workload.messages.push_back({{}, table.take()});
            return std::nullopt;
        });
    }
    if (problem) return std::unexpected(*problem);
    return workload;
}

}  // namespace trilby::bench
