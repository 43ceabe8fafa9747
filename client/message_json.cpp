// SPDX-License-Identifier: Apache-2.0
#include "client/message_json.hpp"

#include <iterator>
#include <limits>

#include <fmt/format.h>

#include "client/printable.hpp"
#include "json/table.hpp"
#include "json/text.hpp"
#include "protocol/base64.hpp"
#include "protocol/field_table.hpp"
#include "protocol/properties.hpp"

namespace trilby::client {
namespace {

using protocol::Properties;
using protocol::TableView;
using simdjson::dom::element;

/// A property that is text, and what it is called here.
struct TextField {
    std::string_view name;
    std::optional<std::string_view> Properties::*property;
};
constexpr TextField text_fields[] = {{"id", &Properties::message_id},
                                     {"content_type", &Properties::content_type},
                                     {"content_encoding", &Properties::content_encoding},
                                     {"correlation_id", &Properties::correlation_id},
                                     {"reply_to", &Properties::reply_to},
                                     {"expiration", &Properties::expiration},
                                     {"type", &Properties::type},
                                     {"user_id", &Properties::user_id},
                                     {"app_id", &Properties::app_id},
                                     {"cluster_id", &Properties::cluster_id}};

// What a line that does not name them stands for; who wants a message without them writes null.
constexpr std::string_view default_content_type = "application/json";
constexpr std::string_view default_content_encoding = "utf-8";
constexpr std::uint8_t default_delivery_mode = 2;  // persistent

bool has_default(std::string_view name) {
    return name == "content_type" || name == "content_encoding";
}

class Line {
  public:
    void field(std::string_view name) {
        out_.push_back(out_.empty() ? '{' : ',');
        json::append_string(out_, name);
        out_.push_back(':');
    }
    void text(std::string_view name, std::string_view octets) {
        field(name);
        json::append_string(out_, octets);
    }
    void raw(std::string_view name, std::string_view json) {
        field(name);
        out_ += json;
    }
    void number(std::string_view name, std::uint64_t value) { raw(name, fmt::format("{}", value)); }
    void truth(std::string_view name, bool value) { raw(name, value ? "true" : "false"); }

    std::string take() && { return std::move(out_) + "}"; }

  private:
    std::string out_;
};

/// The body as a JSON value without white space; nothing: it is none, or none that a line can hold.
std::optional<std::string> as_json(std::string_view body) {
    constexpr std::size_t deepest = 512;  // the line is deeper, and the parser that reads it has a limit
    simdjson::dom::parser parser;
    element value;
    if (parser.allocate(body.size(), deepest) != simdjson::SUCCESS ||
        parser.parse(body.data(), body.size()).get(value) != simdjson::SUCCESS)
        return std::nullopt;
    std::string json = simdjson::minify(value);
    return is_printable(json) ? std::optional(std::move(json)) : std::nullopt;
}

/// JSON for who looks into it, and beside it the octets unless a reader gets them from the JSON.
void append_body(Line& line, std::string_view body) {
    const auto json = as_json(body);
    if (json) line.raw("body", *json);
    if (json == body) return;
    if (simdjson::validate_utf8(body.data(), body.size()))
        line.text("body_text", body);
    else
        line.text("body_base64", protocol::base64(body));
}

void append_properties(Line& line, std::string_view wire) {
    const auto properties = protocol::decode_properties(wire);
    if (!properties || protocol::encode_properties(*properties) != wire) {
        line.text("properties_base64", protocol::base64(wire));
        return;
    }
    if (properties->headers) {
        std::string headers;
        json::append_table(headers, *properties->headers);
        line.raw("headers", headers);
        if (const std::string types = json::types_of(*properties->headers); !types.empty())
            line.raw("header_types", types);
    } else {
        line.raw("headers", "null");
    }
    for (const auto& [name, property] : text_fields) {
        if (const auto& text = (*properties).*property)
            line.text(name, *text);
        else if (has_default(name))
            line.raw(name, "null");
    }
    if (properties->delivery_mode)
        line.number("delivery_mode", *properties->delivery_mode);
    else
        line.raw("delivery_mode", "null");
    if (properties->priority) line.number("priority", *properties->priority);
    if (properties->timestamp) line.number("timestamp", *properties->timestamp);
}

void append_holders(Line& line, const std::vector<HeldBy>& holders) {
    std::string list = "[";
    for (const HeldBy& holder : holders) {
        Line entry;
        entry.text("queue", holder.queue);
        entry.number("deliveries", holder.deliveries);
        if (list.size() > 1) list += ',';
        list += std::move(entry).take();
    }
    line.raw("queues", list + "]");
}

/// Reads the fields of a line. The first thing that is wrong is remembered.
class Fields {
  public:
    explicit Fields(simdjson::dom::object object) : object_(object) {}

    std::optional<element> any(std::string_view name) const {
        element found;
        if (object_.at_key(name).get(found) != simdjson::SUCCESS) return std::nullopt;
        return found;
    }
    bool has(std::string_view name) const { return any(name).has_value(); }
    /// Nothing: it is not there, or null.
    std::optional<element> value(std::string_view name) const {
        const auto found = any(name);
        return found && !found->is_null() ? found : std::nullopt;
    }

    std::optional<std::string> text(std::string_view name) {
        const auto found = value(name);
        if (!found) return std::nullopt;
        std::string_view text;
        if (found->get_string().get(text) != simdjson::SUCCESS) {
            wrong(fmt::format("its \"{}\" is no string", name));
            return std::nullopt;
        }
        return json::octets_of(text);
    }
    std::optional<std::string> short_text(std::string_view name) {
        auto found = text(name);
        if (found && found->size() > 255) wrong(fmt::format("its \"{}\" is longer than 255 bytes", name));
        return found;
    }
    template <class Number>
    std::optional<Number> number(std::string_view name) {
        const auto found = value(name);
        if (!found) return std::nullopt;
        std::uint64_t number = 0;
        if (found->get_uint64().get(number) != simdjson::SUCCESS ||
            number > std::numeric_limits<Number>::max()) {
            wrong(fmt::format("its \"{}\" is no whole number from 0 to {}", name,
                              std::numeric_limits<Number>::max()));
            return std::nullopt;
        }
        return static_cast<Number>(number);
    }
    std::optional<std::string> octets(std::string_view name) {
        const auto found = text(name);
        if (!found) return std::nullopt;
        auto decoded = protocol::from_base64(*found);
        if (!decoded) wrong(fmt::format("its \"{}\" is no base64", name));
        return decoded;
    }

    void wrong(std::string why) {
        if (why_.empty()) why_ = std::move(why);
    }
    const std::string& why() const { return why_; }

  private:
    simdjson::dom::object object_;
    std::string why_;
};

std::string body_of(Fields& fields) {
    if (auto text = fields.text("body_text")) return std::move(*text);
    if (auto octets = fields.octets("body_base64")) return std::move(*octets);
    if (const auto json = fields.any("body")) return simdjson::minify(*json);
    fields.wrong("it has no \"body\"");
    return {};
}

/// The raw header table; nothing: the message has none.
std::optional<std::string> headers_of(Fields& fields) {
    const auto headers = fields.value("headers");
    if (!headers && fields.has("headers")) return std::nullopt;  // null
    if (!headers) return std::string();
    simdjson::dom::object object;
    if (headers->get_object().get(object) != simdjson::SUCCESS) {
        fields.wrong("its \"headers\" are no JSON object");
        return std::nullopt;
    }
    auto table = json::to_table(object, fields.value("header_types"));
    if (!table) {
        fields.wrong("among its \"headers\" " + table.error());
        return std::nullopt;
    }
    return std::move(*table);
}

std::string properties_of(Fields& fields) {
    if (auto raw = fields.octets("properties_base64")) return std::move(*raw);
    Properties properties;
    const auto headers = headers_of(fields);
    if (headers) properties.headers = TableView(*headers);
    std::optional<std::string> texts[std::size(text_fields)];
    for (std::size_t i = 0; i < std::size(text_fields); ++i) {
        texts[i] = fields.short_text(text_fields[i].name);
        if (texts[i]) properties.*text_fields[i].property = *texts[i];
    }
    if (!fields.has("content_type")) properties.content_type = default_content_type;
    if (!fields.has("content_encoding")) properties.content_encoding = default_content_encoding;
    properties.delivery_mode = fields.number<std::uint8_t>("delivery_mode");
    if (!fields.has("delivery_mode")) properties.delivery_mode = default_delivery_mode;
    properties.priority = fields.number<std::uint8_t>("priority");
    properties.timestamp = fields.number<std::uint64_t>("timestamp");
    return protocol::encode_properties(properties);
}

std::vector<std::string> queues_of(Fields& fields) {
    std::vector<std::string> queues;
    simdjson::dom::array list;
    const auto value = fields.value("queues");
    if (!value) return queues;
    if (value->get_array().get(list) != simdjson::SUCCESS) {
        fields.wrong("its \"queues\" are no list");
        return queues;
    }
    for (const element entry : list) {
        std::string_view queue;
        if (entry["queue"].get_string().get(queue) != simdjson::SUCCESS) {
            fields.wrong("its \"queues\" are not all objects with a \"queue\"");
            return queues;
        }
        queues.push_back(json::octets_of(queue));
        if (queues.back().size() > 255) fields.wrong("the name of a queue is longer than 255 bytes");
    }
    return queues;
}

}  // namespace

std::string message_to_json(const MessageView& message, const Circumstances& circumstances) {
    Line line;
    line.text("topic", message.routing_key);
    line.text("exchange", message.exchange);
    append_body(line, message.body);
    append_properties(line, message.properties);
    if (circumstances.redelivered) line.truth("redelivered", *circumstances.redelivered);
    if (circumstances.virtual_host) line.text("vhost", *circumstances.virtual_host);
    if (!circumstances.held_by.empty()) append_holders(line, circumstances.held_by);
    return std::move(line).take();
}

std::expected<Outgoing, std::string> outgoing_from_json(element line) {
    simdjson::dom::object object;
    if (line.get_object().get(object) != simdjson::SUCCESS) return std::unexpected("it is no JSON object");
    Fields fields(object);
    const auto topic = fields.short_text("topic");
    if (!topic) fields.wrong("it has no \"topic\"");
    Outgoing outgoing{.exchange = fields.short_text("exchange"),
                      .topic = topic.value_or(""),
                      .properties = properties_of(fields),
                      .body = body_of(fields),
                      .virtual_host = fields.text("vhost"),
                      .queues = queues_of(fields)};
    if (!fields.why().empty()) return std::unexpected(fields.why());
    return outgoing;
}

}  // namespace trilby::client
