// SPDX-License-Identifier: Apache-2.0
#include "client/message_json.hpp"

#include <bit>
#include <cmath>
#include <iterator>
#include <optional>

#include <fmt/format.h>

#include "protocol/bytes.hpp"
#include "protocol/field_table.hpp"
#include "protocol/properties.hpp"

namespace trilby::client {

using protocol::ArrayView;
using protocol::Properties;
using protocol::TableView;
using protocol::ValueView;

namespace {

constexpr std::uint8_t persistent = 2;

using Bytes = std::expected<std::string, std::string>;

template <class Number>
std::string big_endian(Number number) {
    std::string bytes;
    protocol::Writer(bytes).long_long(std::bit_cast<std::uint64_t>(number));
    return bytes;
}

struct Value {
    char type;
    std::string payload;  // as ValueView::bytes
};

Bytes array_from_json(simdjson::dom::array items);

std::expected<Value, std::string> value_from_json(simdjson::dom::element value) {
    using enum simdjson::dom::element_type;
    switch (value.type()) {
        case STRING: return Value{'S', std::string(value.get_string().value_unsafe())};
        case BOOL: return Value{'t', std::string(1, value.get_bool().value_unsafe() ? '\1' : '\0')};
        case INT64: return Value{'l', big_endian(value.get_int64().value_unsafe())};
        case DOUBLE: return Value{'d', big_endian(value.get_double().value_unsafe())};
        case NULL_VALUE: return Value{'V', {}};
        case UINT64:
            return std::unexpected(
                fmt::format("{} does not fit in 64 bits with a sign", simdjson::minify(value)));
        case OBJECT: {
            auto table = headers_from_json(value.get_object().value_unsafe());
            if (!table) return std::unexpected(table.error());
            return Value{'F', std::move(*table)};
        }
        case ARRAY: {
            auto array = array_from_json(value.get_array().value_unsafe());
            if (!array) return std::unexpected(array.error());
            return Value{'A', std::move(*array)};
        }
    }
    return std::unexpected("it is of an unknown kind");
}

Bytes array_from_json(simdjson::dom::array items) {
    protocol::ArrayBuilder array;
    for (const auto item : items) {
        const auto value = value_from_json(item);
        if (!value) return std::unexpected(value.error());
        array.value(ValueView{value->type, value->payload});
    }
    return array.take();
}

std::optional<std::string_view> text_field(simdjson::dom::object fields, std::string_view name) {
    std::string_view text;
    if (fields.at_key(name).get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
    return text;
}

void append_json_value(std::string& out, const ValueView& value);

void append_json_table(std::string& out, TableView table) {
    std::string_view separator;
    out.push_back('{');
    for (const auto& field : table) {
        out += separator;
        separator = ",";
        append_json_string(out, field.name);
        out.push_back(':');
        append_json_value(out, field.value);
    }
    out.push_back('}');
}

void append_json_text(std::string& out, std::string_view text) {
    if (simdjson::validate_utf8(text.data(), text.size()))
        append_json_string(out, text);
    else
        append_json_string(out, base64(text));
}

void append_json_value(std::string& out, const ValueView& value) {
    if (const auto seconds = value.as_timestamp()) {
        fmt::format_to(std::back_inserter(out), "{}", *seconds);
    } else if (const auto text = value.as_string()) {
        append_json_text(out, *text);
    } else if (const auto number = value.as_integer()) {
        fmt::format_to(std::back_inserter(out), "{}", *number);
    } else if (const auto truth = value.as_boolean()) {
        out += *truth ? "true" : "false";
    } else if (const auto real = value.as_double(); real && std::isfinite(*real)) {
        fmt::format_to(std::back_inserter(out), "{}", *real);
    } else if (const auto table = value.as_table()) {
        append_json_table(out, *table);
    } else if (const auto array = value.as_array()) {
        std::string_view separator;
        out.push_back('[');
        for (const auto& item : *array) {
            out += separator;
            separator = ",";
            append_json_value(out, item);
        }
        out.push_back(']');
    } else {
        out += "null";
    }
}

}  // namespace

Bytes headers_from_json(simdjson::dom::object fields) {
    protocol::TableBuilder table;
    for (const auto& [name, field] : fields) {
        if (name.size() > 255) return std::unexpected("the name of a header is longer than 255 bytes");
        const auto value = value_from_json(field);
        if (!value)
            return std::unexpected(fmt::format("header '{}' cannot be sent: {}", name, value.error()));
        table.value(name, ValueView{value->type, value->payload});
    }
    return table.take();
}

std::expected<Outgoing, std::string> outgoing_from_json(simdjson::dom::element line) {
    simdjson::dom::object fields;
    if (line.get_object().get(fields) != simdjson::SUCCESS) return std::unexpected("it is no JSON object");
    const auto topic = text_field(fields, "topic");
    if (!topic) return std::unexpected("it has no \"topic\" that is a string");
    if (topic->size() > 255) return std::unexpected("its topic is longer than 255 bytes");

    Outgoing outgoing{.topic = std::string(*topic), .properties = {}, .body = {}};
    if (simdjson::dom::element body; fields.at_key("body").get(body) == simdjson::SUCCESS)
        outgoing.body = simdjson::minify(body);
    else if (const auto text = text_field(fields, "body_text"))
        outgoing.body = *text;
    else
        return std::unexpected("it has no \"body\"");

    std::string headers;
    if (simdjson::dom::element value;
        fields.at_key("headers").get(value) == simdjson::SUCCESS && !value.is_null()) {
        simdjson::dom::object object;
        if (value.get_object().get(object) != simdjson::SUCCESS)
            return std::unexpected("its \"headers\" are no JSON object");
        auto table = headers_from_json(object);
        if (!table) return std::unexpected(table.error());
        headers = std::move(*table);
    }
    const auto id = text_field(fields, "id");
    if (id && id->size() > 255) return std::unexpected("its id is longer than 255 bytes");
    outgoing.properties = protocol::encode_properties(Properties{.content_type = "application/json",
                                                                 .content_encoding = "utf-8",
                                                                 .headers = TableView(headers),
                                                                 .delivery_mode = persistent,
                                                                 .message_id = id});
    return outgoing;
}

std::string delivery_to_json(const Delivery& delivery) {
    const Message& message = delivery.message;
    const Properties properties = protocol::decode_properties(message.properties).value_or(Properties{});
    std::string out;
    const auto field = [&out](std::string_view name) {
        out.push_back(out.empty() ? '{' : ',');
        append_json_string(out, name);
        out.push_back(':');
    };
    const auto text = [&](std::string_view name, const std::optional<std::string_view>& value) {
        if (!value) return;
        field(name);
        append_json_text(out, *value);
    };
    text("topic", message.routing_key);
    field("headers");
    append_json_table(out, properties.headers.value_or(TableView{}));

    simdjson::dom::parser parser;
    if (simdjson::dom::element body; parser.parse(message.body).get(body) == simdjson::SUCCESS) {
        field("body");
        out += simdjson::minify(body);
    } else {
        const bool readable = simdjson::validate_utf8(message.body.data(), message.body.size());
        field(readable ? "body_text" : "body_base64");
        append_json_text(out, message.body);
    }
    text("id", properties.message_id);
    text("exchange", message.exchange);
    text("content_type", properties.content_type);
    text("content_encoding", properties.content_encoding);
    text("correlation_id", properties.correlation_id);
    text("reply_to", properties.reply_to);
    text("type", properties.type);
    text("user_id", properties.user_id);
    text("app_id", properties.app_id);
    if (properties.timestamp) {
        field("timestamp");
        fmt::format_to(std::back_inserter(out), "{}", *properties.timestamp);
    }
    field("redelivered");
    out += delivery.redelivered ? "true" : "false";
    out.push_back('}');
    return out;
}

std::string delivery_to_text(const Delivery& delivery, const Palette& palette) {
    const Message& message = delivery.message;
    const Properties properties = protocol::decode_properties(message.properties).value_or(Properties{});
    std::string out;
    const auto line = [&](std::string_view name, std::string_view value) {
        fmt::format_to(std::back_inserter(out), "  {}{}{} {}\n", palette.faint, name, palette.plain,
                       printable(value));
    };
    fmt::format_to(std::back_inserter(out), "{}{}{}{}\n", palette.heading, printable(message.routing_key),
                   palette.plain, delivery.redelivered ? " (delivered before)" : "");
    if (properties.message_id) line("id:", *properties.message_id);
    for (const auto& header : properties.headers.value_or(TableView{})) {
        std::string value;
        append_json_value(value, header.value);
        line(printable(fmt::format("{}:", header.name)), value);
    }
    simdjson::dom::parser parser;
    simdjson::dom::element body;
    out += "  ";
    if (parser.parse(message.body).get(body) == simdjson::SUCCESS)
        append_readable_json(out, body, 2, palette);
    else if (simdjson::validate_utf8(message.body.data(), message.body.size()))
        out += printable(message.body);
    else
        fmt::format_to(std::back_inserter(out), "({} bytes that are no text)", message.body.size());
    out += "\n\n";
    return out;
}

}  // namespace trilby::client
