// SPDX-License-Identifier: Apache-2.0
#include "broker/json_table.hpp"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "protocol/bytes.hpp"
#include "protocol/utf8.hpp"

namespace trilby::broker {
namespace {

using protocol::ArrayView;
using protocol::TableView;
using protocol::ValueView;
using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr std::size_t longest_name = 255;

/// Why a value cannot be in a table; empty: it can. The parser bounds how deep this goes.
using Reason = std::string;

Reason append_value(std::string& out, element value);

Reason append_fields(std::string& out, simdjson::dom::object object) {
    for (const auto& [name, value] : object) {
        if (name.size() > longest_name) {
            return fmt::format("\"{}…\" is longer than the 255 bytes that a name may have",
                               name.substr(0, 20));
        }
        protocol::Writer{out}.short_string(name);
        if (auto reason = append_value(out, value); !reason.empty()) {
            // The innermost name stands at the end: "a": "b" must not be null
            return fmt::format("\"{}\"{} {}", name, reason.starts_with('"') ? ":" : "", reason);
        }
    }
    return {};
}

Reason append_value(std::string& out, element value) {
    protocol::Writer writer{out};
    const auto letter = [&](char type) { writer.octet(static_cast<std::uint8_t>(type)); };
    std::string nested;
    switch (value.type()) {
        case element_type::INT64:
            letter('l');
            writer.long_long(static_cast<std::uint64_t>(value.get_int64().value_unsafe()));
            return {};
        case element_type::UINT64:
            return fmt::format("must be at most {}", std::numeric_limits<std::int64_t>::max());
        case element_type::DOUBLE: {
            std::uint64_t bits = 0;
            const double number = value.get_double().value_unsafe();
            std::memcpy(&bits, &number, sizeof bits);
            letter('d');
            writer.long_long(bits);
            return {};
        }
        case element_type::STRING:
            letter('S');
            writer.long_string(value.get_string().value_unsafe());
            return {};
        case element_type::BOOL:
            letter('t');
            writer.octet(value.get_bool().value_unsafe() ? 1 : 0);
            return {};
        case element_type::NULL_VALUE: return "must not be null";
        case element_type::ARRAY: {
            const simdjson::dom::array list = value.get_array().value_unsafe();
            for (const element entry : list) {
                if (auto reason = append_value(nested, entry); !reason.empty()) return reason;
            }
            letter('A');
            writer.long_string(nested);
            return {};
        }
        case element_type::OBJECT:
            if (auto reason = append_fields(nested, value.get_object().value_unsafe()); !reason.empty()) {
                return reason;
            }
            letter('F');
            writer.table(TableView{nested});
            return {};
    }
    return "is of no known type";
}

void append_json_value(std::string& out, const ValueView& value);

void append_json_array(std::string& out, ArrayView array) {
    out += '[';
    std::string_view separator;
    for (const auto& value : array) {
        out += separator;
        append_json_value(out, value);
        separator = ",";
    }
    out += ']';
}

/// Shortest text that reads back as the same number, and as a float.
void append_real(std::string& out, double number) {
    if (!std::isfinite(number)) {
        out += "null";
        return;
    }
    const auto text = fmt::format("{}", number);
    out += text;
    if (text.find_first_of(".e") == text.npos) out += ".0";
}

void append_json_value(std::string& out, const ValueView& value) {
    if (const auto integer = value.as_integer()) {
        out += fmt::format("{}", *integer);
    } else if (const auto text = value.as_string()) {
        append_json_string(out, *text);
    } else if (const auto flag = value.as_boolean()) {
        out += *flag ? "true" : "false";
    } else if (const auto real = value.as_double()) {
        append_real(out, *real);
    } else if (const auto seconds = value.as_timestamp()) {
        out += fmt::format("{}", *seconds);
    } else if (const auto table = value.as_table()) {
        append_json(out, *table);
    } else if (const auto array = value.as_array()) {
        append_json_array(out, *array);
    } else if (value.type == 'D' && value.bytes.size() == 5) {
        protocol::Reader reader{value.bytes};
        const int scale = reader.octet();
        append_real(out, static_cast<double>(reader.long_int()) / std::pow(10.0, scale));
    } else {
        out += "null";
    }
}

}  // namespace

std::expected<std::string, std::string> to_table(simdjson::dom::object object) {
    std::string raw;
    if (auto reason = append_fields(raw, object); !reason.empty()) return std::unexpected(std::move(reason));
    if (!protocol::valid_table(raw)) {
        return std::unexpected(fmt::format("must not be nested deeper than {}", protocol::max_table_depth));
    }
    return raw;
}

void append_json(std::string& out, TableView table) {
    out += '{';
    std::string_view separator;
    for (const auto& [name, value] : table) {
        out += separator;
        append_json_string(out, name);
        out += ':';
        append_json_value(out, value);
        separator = ",";
    }
    out += '}';
}

void append_json_string(std::string& out, std::string_view text) {
    const bool utf8 = protocol::valid_utf8(text);
    out += '"';
    for (const char c : text) {
        const auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (octet < 0x20 || octet == 0x7F) {
            out += fmt::format("\\u{:04x}", octet);
        } else if (octet >= 0x80 && !utf8) {
            out += "\xEF\xBF\xBD";
        } else {
            out += c;
        }
    }
    out += '"';
}

}  // namespace trilby::broker
