// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "broker/definitions/definitions.hpp"
#include "json/table.hpp"
#include "json/text.hpp"

namespace trilby::broker {
namespace {

/// One JSON object on one line; its keys come out in the order of the calls.
class Line {
  public:
    explicit Line(std::string& out) : out_(out) { out_ += '{'; }

    Line& text(std::string_view key, std::string_view value) {
        begin(key);
        json::append_string(out_, value);
        return *this;
    }
    Line& flag(std::string_view key, bool value) {
        begin(key);
        out_ += value ? "true" : "false";
        return *this;
    }
    Line& list(std::string_view key, const std::vector<std::string>& values) {
        begin(key);
        out_ += '[';
        std::string_view separator;
        for (const auto& value : values) {
            out_ += separator;
            json::append_string(out_, value);
            separator = ",";
        }
        out_ += ']';
        return *this;
    }
    Line& arguments(std::string_view raw) {
        const protocol::TableView table{raw};
        begin("arguments");
        json::append_table(out_, table, json::Void::undefined);
        const auto types = json::types_of(table, json::Void::undefined);
        return types.empty() ? *this : json("argument_types", types);
    }
    Line& json(std::string_view key, std::string_view value) {
        begin(key);
        out_ += value;
        return *this;
    }
    void end() { out_ += '}'; }

  private:
    void begin(std::string_view key) {
        out_ += separator_;
        json::append_string(out_, key);
        out_ += ':';
        separator_ = ",";
    }

    std::string& out_;
    std::string_view separator_;
};

void append_metadata(Line& line, const VhostDefinition& vhost) {
    line.text("description", vhost.description).list("tags", vhost.tags);
    if (!vhost.default_queue_type.empty()) line.text("default_queue_type", vhost.default_queue_type);
}

/// In both places: RabbitMQ 3.10 reads the queue type from "metadata" alone, others have none.
void append(std::string& out, const VhostDefinition& vhost) {
    std::string metadata;
    Line inner{metadata};
    append_metadata(inner, vhost);
    inner.end();
    Line line{out};
    line.text("name", vhost.name);
    append_metadata(line, vhost);
    line.json("metadata", metadata).end();
}

void append(std::string& out, const UserDefinition& user) {
    Line{out}
        .text("name", user.name)
        .text("password_hash", user.password_hash)
        .text("hashing_algorithm", user.hashing_algorithm)
        .list("tags", user.tags)
        .json("limits", user.limits.empty() ? "{}" : user.limits)
        .end();
}

void append(std::string& out, const PermissionDefinition& row) {
    Line{out}
        .text("user", row.user)
        .text("vhost", row.vhost)
        .text("configure", row.configure)
        .text("write", row.write)
        .text("read", row.read)
        .end();
}

void append(std::string& out, const TopicPermissionDefinition& row) {
    Line{out}
        .text("user", row.user)
        .text("vhost", row.vhost)
        .text("exchange", row.exchange)
        .text("write", row.write)
        .text("read", row.read)
        .end();
}

void append(std::string& out, const ExchangeDefinition& exchange) {
    Line{out}
        .text("name", exchange.name)
        .text("vhost", exchange.vhost)
        .text("type", exchange.type)
        .flag("durable", exchange.durable)
        .flag("auto_delete", exchange.auto_delete)
        .flag("internal", exchange.internal)
        .arguments(exchange.arguments)
        .end();
}

void append(std::string& out, const QueueDefinition& queue) {
    const auto type = protocol::TableView(queue.arguments).find("x-queue-type");
    Line{out}
        .text("name", queue.name)
        .text("vhost", queue.vhost)
        .flag("durable", queue.durable)
        .flag("auto_delete", queue.auto_delete)
        .text("type", type ? type->as_string().value_or("classic") : "classic")
        .arguments(queue.arguments)
        .end();
}

void append(std::string& out, const BindingDefinition& binding) {
    Line{out}
        .text("source", binding.source)
        .text("vhost", binding.vhost)
        .text("destination", binding.destination)
        .text("destination_type", binding.destination_is_queue ? "queue" : "exchange")
        .text("routing_key", binding.routing_key)
        .arguments(binding.arguments)
        .end();
}

void append(std::string& out, const VerbatimDefinition& definition) {
    out += definition.json;
}

template <class Definition>
void append_section(std::string& out, std::string_view name, const std::vector<Definition>& definitions) {
    out += fmt::format(",\n\"{}\":[", name);
    std::string_view separator = "\n";
    for (const auto& definition : definitions) {
        out += separator;
        append(out, definition);
        separator = ",\n";
    }
    out += ']';
}

}  // namespace

std::string to_json(const Definitions& definitions) {
    std::string out = "{\"rabbit_version\":";
    json::append_string(out, definitions.rabbit_version);
    out += ",\n\"rabbitmq_version\":";
    json::append_string(out, definitions.rabbit_version);
    append_section(out, "users", definitions.users);
    append_section(out, "vhosts", definitions.vhosts);
    append_section(out, "permissions", definitions.permissions);
    append_section(out, "topic_permissions", definitions.topic_permissions);
    append_section(out, "parameters", definitions.parameters);
    append_section(out, "global_parameters", definitions.global_parameters);
    append_section(out, "policies", definitions.policies);
    append_section(out, "queues", definitions.queues);
    append_section(out, "exchanges", definitions.exchanges);
    append_section(out, "bindings", definitions.bindings);
    return out += "}\n";
}

}  // namespace trilby::broker
