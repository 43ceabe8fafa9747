// SPDX-License-Identifier: Apache-2.0
#include "json/place.hpp"

#include <algorithm>

#include <simdjson.h>

#include "protocol/utf8.hpp"

namespace trilby::json {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;

constexpr int deepest = 128;

/// Reads everything, for the parser looks only at what is asked for, and does not bound the depth.
error_code walk(ondemand::value value, int depth = 0) {
    if (depth > deepest) return simdjson::DEPTH_ERROR;
    ondemand::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    switch (type) {
        case ondemand::json_type::array: {
            ondemand::array array;
            if (const auto error = value.get_array().get(array)) return error;
            for (auto entry : array) {
                ondemand::value inner;
                if (const auto error = entry.get(inner)) return error;
                if (const auto error = walk(inner, depth + 1)) return error;
            }
            return simdjson::SUCCESS;
        }
        case ondemand::json_type::object: {
            ondemand::object object;
            if (const auto error = value.get_object().get(object)) return error;
            for (auto field : object) {
                ondemand::value inner;
                if (const auto error = field.error()) return error;
                if (const auto error = field.unescaped_key().error()) return error;
                if (const auto error = field.value().get(inner)) return error;
                if (const auto error = walk(inner, depth + 1)) return error;
            }
            return simdjson::SUCCESS;
        }
        case ondemand::json_type::number: return value.get_number().error();
        case ondemand::json_type::string: return value.get_string().error();
        case ondemand::json_type::boolean: return value.get_bool().error();
        case ondemand::json_type::null: {
            bool null = false;
            if (const auto error = value.is_null().get(null)) return error;
            return null ? simdjson::SUCCESS : simdjson::N_ATOM_ERROR;
        }
    }
    return simdjson::SUCCESS;
}

/// For what is found out before any value is looked at: bytes that are not UTF-8, or a string without its
/// end, which cannot go over a line in JSON.
std::size_t first_broken_line(std::string_view json) {
    std::size_t number = 1;
    for (;; ++number) {
        const auto end = std::min(json.find('\n'), json.size());
        const auto line = json.substr(0, end);
        bool inside = false;
        for (std::size_t i = 0; i < line.size(); ++i) {
            if (line[i] == '\\') {
                ++i;
            } else if (line[i] == '"') {
                inside = !inside;
            }
        }
        if (inside || !protocol::valid_utf8(line) || end == json.size()) return number;
        json.remove_prefix(end + 1);
    }
}

}  // namespace

std::size_t line_of_error(std::string_view json) {
    const simdjson::padded_string padded{json};
    ondemand::parser parser;
    ondemand::document document;
    if (parser.iterate(padded).get(document) != simdjson::SUCCESS) return first_broken_line(json);
    ondemand::value root;
    if (document.get_value().get(root) == simdjson::SUCCESS) (void)walk(root);
    const char* location = nullptr;
    // None when all tokens were read: something is missing at the end.
    if (document.current_location().get(location) != simdjson::SUCCESS)
        location = padded.data() + padded.size();
    return 1 + static_cast<std::size_t>(std::count(padded.data(), location, '\n'));
}

}  // namespace trilby::json
