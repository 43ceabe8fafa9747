// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <simdjson.h>

#include "auth/password_hash.hpp"
#include "broker/definitions/entry.hpp"
#include "broker/definitions/reading.hpp"
#include "json/place.hpp"

namespace trilby::broker {
namespace {

using simdjson::dom::element;

/// Where entries are read to: of a whole broker, or into one virtual host, whatever they say themselves.
struct Reading {
    std::string vhost;  // empty: each entry names its own
    DefinitionsRemarks& remarks;

    std::string vhost_of(DefinitionsEntry& entry) const {
        const bool named = entry.has("vhost");
        if (!vhost.empty()) return vhost;
        if (!named)
            entry.fail(
                "has no \"vhost\": this looks like the export of a single virtual host; name one for it: "
                "trilby definitions import FILE --vhost NAME",
                " ");
        return entry.name("vhost");
    }
};

/// Newer exports have all but the name in "metadata" as well, some only there.
VhostDefinition read_vhost(DefinitionsEntry& entry, std::string name) {
    VhostDefinition vhost{std::move(name), entry.text_or_empty("description"), entry.tags(),
                          entry.text_or_empty("default_queue_type")};
    if (auto metadata = entry.inner("metadata")) {
        if (vhost.description.empty()) vhost.description = metadata->text_or_empty("description");
        if (vhost.tags.empty()) vhost.tags = metadata->tags();
        if (vhost.default_queue_type.empty())
            vhost.default_queue_type = metadata->text_or_empty("default_queue_type");
    }
    (void)entry.has("limits");  // which are parameters as well
    if (vhost.default_queue_type == "undefined") vhost.default_queue_type.clear();
    return vhost;
}

/// Before 3.6 RabbitMQ knew md5 only and did not say so.
bool before_algorithms(std::string_view rabbit_version) {
    int major = 0, minor = 0;
    const char* const end = rabbit_version.data() + rabbit_version.size();
    const auto first = std::from_chars(rabbit_version.data(), end, major);
    if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return false;
    const auto second = std::from_chars(first.ptr + 1, end, minor);
    return second.ec == std::errc{} && (major < 3 || (major == 3 && minor < 6));
}

UserDefinition read_user(DefinitionsEntry& entry, std::string_view rabbit_version) {
    UserDefinition user{entry.name("name"), entry.text_or_empty("password_hash"),
                        entry.text_or_empty("hashing_algorithm"), entry.tags(), entry.object("limits")};
    if (entry.has("password")) {
        if (entry.has("password_hash"))
            entry.fail("has both \"password\" and \"password_hash\": remove one", " ");
        const auto hash = auth::PasswordHash::of(entry.text("password"));
        user.password_hash = hash.base64();
        user.hashing_algorithm = hash.algorithm();
        return user;
    }
    if (user.hashing_algorithm.empty()) {
        user.hashing_algorithm = before_algorithms(rabbit_version) ? "rabbit_password_hashing_md5"
                                                                   : "rabbit_password_hashing_sha256";
    }
    const auto hash = auth::PasswordHash::from_base64(user.password_hash, user.hashing_algorithm);
    if (!hash) entry.fail(fmt::format("user '{}': {}", user.name, hash.error()));
    return user;
}

PermissionDefinition read_permission(DefinitionsEntry& entry, const Reading& reading) {
    return {entry.name("user"), reading.vhost_of(entry), entry.text("configure"), entry.text("write"),
            entry.text("read")};
}

TopicPermissionDefinition read_topic_permission(DefinitionsEntry& entry, const Reading& reading) {
    return {entry.name("user"), reading.vhost_of(entry), entry.name("exchange"), entry.text("write"),
            entry.text("read")};
}

ExchangeDefinition read_exchange(DefinitionsEntry& entry, const Reading& reading) {
    return {reading.vhost_of(entry),
            entry.name("name"),
            entry.name("type"),
            entry.flag("durable"),
            entry.flag_or_false("auto_delete"),
            entry.flag_or_false("internal"),
            entry.arguments(reading.remarks)};
}

QueueDefinition read_queue(DefinitionsEntry& entry, const Reading& reading) {
    (void)entry.has("type");  // x-queue-type says the same
    return {reading.vhost_of(entry), entry.name("name"), entry.flag("durable"),
            entry.flag_or_false("auto_delete"), entry.arguments(reading.remarks)};
}

BindingDefinition read_binding(DefinitionsEntry& entry, const Reading& reading) {
    BindingDefinition binding{.vhost = reading.vhost_of(entry),
                              .source = entry.name("source"),
                              .destination = entry.name("destination"),
                              .routing_key = entry.name("routing_key"),
                              .arguments = entry.arguments(reading.remarks)};
    const auto type = entry.text("destination_type");
    if (type != "queue" && type != "exchange") {
        entry.fail(fmt::format(R"("destination_type" must be "queue" or "exchange", not "{}")", type));
    }
    binding.destination_is_queue = type == "queue";
    return binding;
}

constexpr std::string_view of_one_vhost[] = {"parameters", "policies", "queues", "exchanges", "bindings"};
constexpr std::string_view of_a_broker[] = {"vhosts", "users", "permissions", "topic_permissions",
                                            "global_parameters"};

/// Where an export is from, for people.
constexpr std::string_view passed_over[] = {"product_name",        "product_version",
                                            "rabbit_version",      "rabbitmq_version",
                                            "explanation",         "rabbitmq_definition_format",
                                            "original_vhost_name", "original_cluster_name"};

class Document {
  public:
    Document(simdjson::dom::object object, element root, Reading reading)
        : object_(object), whole_("the document", root, error_), reading_(std::move(reading)) {
        for (const auto key : passed_over) (void)whole_.has(key);
    }

    std::string version() {
        return whole_.text_or_empty(whole_.has("rabbit_version") ? "rabbit_version" : "rabbitmq_version");
    }

    /// Of the one virtual host that the document describes.
    VhostDefinition vhost() { return read_vhost(whole_, reading_.vhost); }

    /// Appends each entry of a section, until one is wrong.
    template <class Definition, class Read>
    void read(std::string_view section, std::vector<Definition>& into, Read read_entry) {
        if (!has(section)) return;
        simdjson::dom::array list;
        if (const auto value = object_.at_key(section); value.get_array().get(list) != simdjson::SUCCESS) {
            error_ = fmt::format("\"{}\" must be a list, not {}", section, shown(value.value_unsafe()));
            return;
        }
        into.reserve(list.size());
        std::size_t index = 0;
        for (const element item : list) {
            DefinitionsEntry entry{fmt::format("{}[{}]", section, index++), item, error_};
            auto definition = read_entry(entry);
            if (!error_.empty()) return;
            if constexpr (!std::is_same_v<Definition, VerbatimDefinition>)
                entry.name_unknown(reading_.remarks.unknown[std::string{section}]);
            into.push_back(std::move(definition));
        }
    }

    bool has(std::string_view section) { return whole_.has(section); }

    const Reading& reading() const { return reading_; }

    /// Empty: nothing was wrong.
    std::string finish() {
        whole_.name_unknown(reading_.remarks.unknown["the document"]);
        return std::move(error_);
    }

  private:
    std::string error_;
    simdjson::dom::object object_;
    DefinitionsEntry whole_;
    Reading reading_;
};

bool has_any(Document& document, std::span<const std::string_view> sections) {
    return std::ranges::any_of(sections, [&](std::string_view section) { return document.has(section); });
}

void read_broker(Document& document, Definitions& into) {
    const Reading& reading = document.reading();
    document.read("vhosts", into.vhosts,
                  [](DefinitionsEntry& entry) { return read_vhost(entry, entry.name("name")); });
    document.read("users", into.users,
                  [&](DefinitionsEntry& entry) { return read_user(entry, into.rabbit_version); });
    document.read("permissions", into.permissions,
                  [&](DefinitionsEntry& entry) { return read_permission(entry, reading); });
    document.read("topic_permissions", into.topic_permissions,
                  [&](DefinitionsEntry& entry) { return read_topic_permission(entry, reading); });
    document.read("global_parameters", into.global_parameters, [](DefinitionsEntry& entry) {
        return VerbatimDefinition{"", entry.name("name"), entry.json("")};
    });
}

void read_vhosts(Document& document, Definitions& into) {
    const Reading& reading = document.reading();
    document.read("exchanges", into.exchanges,
                  [&](DefinitionsEntry& entry) { return read_exchange(entry, reading); });
    document.read("queues", into.queues, [&](DefinitionsEntry& entry) { return read_queue(entry, reading); });
    document.read("bindings", into.bindings,
                  [&](DefinitionsEntry& entry) { return read_binding(entry, reading); });
    const auto verbatim = [&](DefinitionsEntry& entry) {
        const auto vhost = reading.vhost_of(entry);
        return VerbatimDefinition{vhost, entry.name("name"), entry.json(reading.vhost)};
    };
    document.read("policies", into.policies, verbatim);
    document.read("parameters", into.parameters, [&](DefinitionsEntry& entry) {
        auto parameter = verbatim(entry);
        parameter.component = entry.name("component");
        return parameter;
    });
}

std::vector<std::string> in_words(DefinitionsRemarks remarks) {
    std::vector<std::string> sentences = std::move(remarks.sentences);
    for (const auto& [section, members] : remarks.unknown)
        for (const auto& [member, times] : members)
            sentences.push_back(section == "the document"
                                    ? fmt::format("passed over, for it is not known: \"{}\"", member)
                                    : fmt::format("passed over, for it is not known: \"{}\" in {} of \"{}\"",
                                                  member, times == 1 ? "one" : std::to_string(times),
                                                  section));
    return sentences;
}

}  // namespace

std::expected<ParsedDefinitions, std::string> read_definitions(std::string_view json,
                                                               const std::string& vhost) {
    if (constexpr std::string_view mark = "\xEF\xBB\xBF"; json.starts_with(mark))
        json.remove_prefix(mark.size());  // editors on Windows write it, and RabbitMQ passes it over
    simdjson::dom::parser parser;
    element root;
    if (const auto failure = parser.parse(json.data(), json.size()).get(root)) {
        return std::unexpected(fmt::format("line {}: this is not JSON: {}", json::line_of_error(json),
                                           simdjson::error_message(failure)));
    }
    simdjson::dom::object object;
    if (root.get_object().get(object) != simdjson::SUCCESS) {
        return std::unexpected(
            fmt::format(R"(definitions are an object with lists such as "queues", not {})", shown(root)));
    }
    DefinitionsRemarks remarks;
    Document document{object, root, {vhost, remarks}};
    if (!has_any(document, of_one_vhost) && (!has_any(document, of_a_broker) || !vhost.empty()))
        return std::unexpected(
            fmt::format("there is nothing to import: it has none of {}", fmt::join(of_one_vhost, ", ")));

    Definitions result;
    result.rabbit_version = document.version();
    if (vhost.empty()) {
        read_broker(document, result);
    } else {
        result.vhosts.push_back(document.vhost());
        for (const auto section : of_a_broker)
            if (document.has(section))
                remarks.sentences.push_back(fmt::format(
                    "passed over, for the import is into the virtual host '{}': \"{}\"", vhost, section));
    }
    read_vhosts(document, result);
    if (auto error = document.finish(); !error.empty()) return std::unexpected(std::move(error));
    return ParsedDefinitions{std::move(result), in_words(std::move(remarks))};
}

std::expected<Definitions, std::string> parse_definitions(std::string_view json) {
    auto read = read_definitions(json);
    if (!read) return std::unexpected(std::move(read.error()));
    return std::move(read->definitions);
}

}  // namespace trilby::broker
