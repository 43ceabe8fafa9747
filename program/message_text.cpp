// SPDX-License-Identifier: Apache-2.0
#include "program/message_text.hpp"

#include <algorithm>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "client/printable.hpp"
#include "json/table.hpp"
#include "protocol/field_table.hpp"
#include "protocol/properties.hpp"

namespace trilby::client {
namespace {

using protocol::Properties;
using protocol::TableView;

/// Breaks lines that are longer than `columns` and indents what follows. Escape sequences, which are the
/// palette's, take no room; a character takes two columns where it may.
std::string folded(std::string_view text, std::size_t columns) {
    constexpr std::string_view indent = "      ";
    if (columns <= 2 * indent.size()) return std::string(text);
    std::string out;
    std::size_t column = 0;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t size = 1, wide = 1;
        const auto octet = static_cast<unsigned char>(text[at]);
        if (octet == '\033') {
            size = text.find('m', at) + 1 - at;
            wide = 0;
        } else if (octet == '\t') {
            wide = 8 - column % 8;
        } else if (octet >= 0xc0) {
            size = octet >= 0xf0 ? 4 : octet >= 0xe0 ? 3 : 2;
            wide = octet >= 0xe1 ? 2 : 1;
        }
        if (octet == '\n') {
            column = wide = 0;
        } else if (column + wide > columns) {
            out.append(1, '\n').append(indent);
            column = indent.size();
        }
        column += wide;
        out += text.substr(at, size);
        at += size;
    }
    return out;
}

/// Text that is no JSON: each line behind a bar, so that it cannot be taken for what stands around it.
void append_text(std::string& out, std::string_view text, const Palette& palette) {
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        fmt::format_to(std::back_inserter(out), "  {}|{} {}\n", palette.faint, palette.plain,
                       printable(text.substr(at, end - at)));
        at = end + 1;
    }
}

void append_body(std::string& out, std::string_view body, const Palette& palette) {
    simdjson::dom::parser parser;
    simdjson::dom::element json;
    if (parser.parse(body.data(), body.size()).get(json) == simdjson::SUCCESS) {
        out += "  ";
        append_readable_json(out, json, 2, palette);
        out += '\n';
    } else if (simdjson::validate_utf8(body.data(), body.size())) {
        append_text(out, body, palette);
    } else {
        fmt::format_to(std::back_inserter(out), "  ({} bytes that are no text)\n", body.size());
    }
}

}  // namespace

std::string delivery_to_text(const Delivery& delivery, const Palette& palette, std::size_t columns) {
    const Message& message = delivery.message;
    const Properties properties = protocol::decode_properties(message.properties).value_or(Properties{});
    std::string out = fmt::format("{}{}{}{}\n", palette.heading, printable(message.routing_key),
                                  palette.plain, delivery.redelivered ? " (delivered before)" : "");
    const auto line = [&](std::string_view name, std::string_view value) {
        fmt::format_to(std::back_inserter(out), "  {}{}:{} {}\n", palette.faint, printable(name),
                       palette.plain, printable(value));
    };
    if (properties.message_id) line("id", *properties.message_id);
    for (const auto& header : properties.headers.value_or(TableView{})) {
        std::string value;
        json::append_value(value, header.value);
        line(header.name, value);
    }
    append_body(out, message.body, palette);
    return folded(out + "\n", columns);
}

}  // namespace trilby::client
