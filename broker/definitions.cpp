// SPDX-License-Identifier: Apache-2.0
#include "broker/definitions.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "auth/password_hash.hpp"
#include "broker/json_place.hpp"
#include "broker/json_table.hpp"

namespace trilby::broker {
namespace {

using simdjson::dom::element;

constexpr std::size_t longest_name = 255;

/// What an error quotes of a value that is not what it should be.
std::string shown(element value) {
    constexpr std::size_t longest = 40;
    auto text = simdjson::to_string(value);
    if (text.size() <= longest) return text;
    auto size = longest;
    while ((text[size] & 0xC0) == 0x80) --size;  // not inside a character
    return text.substr(0, size) + "…";
}

/// Reads the keys of one entry. The first thing that is wrong stays in `error`, with its place; reads after
/// it yield empty values, so that it is asked for once, when the entry is complete.
class Entry {
  public:
    Entry(std::string place, element value, std::string& error) : place_(std::move(place)), error_(error) {
        if (value.get_object().get(object_) != simdjson::SUCCESS) {
            fail(fmt::format("must be an object, not {}", shown(value)), " ");
        }
    }

    /// What is null might as well not be there.
    bool has(std::string_view key) const {
        element value;
        return error_.empty() && object_.at_key(key).get(value) == simdjson::SUCCESS && !value.is_null();
    }

    std::string text(std::string_view key) {
        element value;
        if (!find(key, value)) return {};
        return text_of(key, value);
    }
    std::string text_or_empty(std::string_view key) { return has(key) ? text(key) : std::string{}; }

    /// Of a thing that is named on the wire, where 255 bytes fit.
    std::string name(std::string_view key) {
        auto result = text(key);
        if (result.size() > longest_name) {
            fail(fmt::format("\"{}\" is longer than the 255 bytes that a name may have", key));
        }
        return result;
    }

    std::string vhost() {
        if (error_.empty() && !has("vhost")) {
            fail(
                "has no \"vhost\": this looks like the export of a single virtual host; export the "
                "definitions of "
                "the whole broker instead",
                " ");
        }
        return name("vhost");
    }

    bool flag(std::string_view key) {
        element value;
        bool result = false;
        if (!find(key, value)) return result;
        if (value.get_bool().get(result) != simdjson::SUCCESS) {
            fail(fmt::format("\"{}\" must be true or false, not {}", key, shown(value)));
        }
        return result;
    }
    bool flag_or_false(std::string_view key) { return has(key) && flag(key); }

    /// A list of strings, or, as before RabbitMQ 3.9, one string with commas. Absent: none.
    std::vector<std::string> tags() {
        std::vector<std::string> result;
        element value;
        if (!has("tags") || !find("tags", value)) return result;
        simdjson::dom::array list;
        if (value.get_array().get(list) == simdjson::SUCCESS) {
            for (const element tag : list) result.push_back(text_of("tags", tag));
            return result;
        }
        const auto joined = text_of("tags", value);
        for (std::size_t at = 0; at <= joined.size();) {
            const auto comma = std::min(joined.find(',', at), joined.size());
            const auto tag = trimmed(std::string_view{joined}.substr(at, comma - at));
            if (!tag.empty()) result.emplace_back(tag);
            at = comma + 1;
        }
        return result;
    }

    /// An object in this one. None: absent.
    std::optional<Entry> inner(std::string_view key) {
        element value;
        if (!has(key) || !find(key, value)) return std::nullopt;
        return Entry{fmt::format("{}.{}", place_, key), value, error_};
    }

    /// The JSON of an object. Absent, or without a key: empty.
    std::string object(std::string_view key) {
        element value;
        if (!has(key) || !find(key, value)) return {};
        simdjson::dom::object object;
        if (value.get_object().get(object) == simdjson::SUCCESS)
            return object.size() == 0 ? "" : simdjson::to_string(value);
        // Erlang has one empty list for both.
        simdjson::dom::array list;
        if (value.get_array().get(list) != simdjson::SUCCESS || list.size() != 0)
            fail(fmt::format("\"{}\" must be an object, not {}", key, shown(value)));
        return {};
    }

    /// A raw field table. Absent: empty.
    std::string arguments() {
        element value;
        if (!has("arguments") || !find("arguments", value)) return {};
        simdjson::dom::object object;
        if (value.get_object().get(object) != simdjson::SUCCESS) {
            fail(fmt::format("\"arguments\" must be an object, not {}", shown(value)));
            return {};
        }
        auto table = to_table(object);
        if (!table) fail("\"arguments\": " + table.error());
        return std::move(table).value_or("");
    }

    void fail(std::string_view what, std::string_view separator = ": ") {
        if (error_.empty()) error_ = fmt::format("{}{}{}", place_, separator, what);
    }

  private:
    static std::string_view trimmed(std::string_view text) {
        while (text.starts_with(' ')) text.remove_prefix(1);
        while (text.ends_with(' ')) text.remove_suffix(1);
        return text;
    }

    bool find(std::string_view key, element& value) {
        if (has(key)) return object_.at_key(key).get(value) == simdjson::SUCCESS;
        fail(fmt::format("has no \"{}\"", key), " ");
        return false;
    }

    std::string text_of(std::string_view key, element value) {
        std::string_view result;
        if (value.get_string().get(result) != simdjson::SUCCESS) {
            fail(fmt::format("\"{}\" must be a string, not {}", key, shown(value)));
        }
        return std::string{result};
    }

    std::string place_;
    simdjson::dom::object object_;
    std::string& error_;
};

/// Newer exports have all but the name in "metadata" as well, some only there.
VhostDefinition read_vhost(Entry& entry) {
    VhostDefinition vhost{entry.name("name"), entry.text_or_empty("description"), entry.tags(),
                          entry.text_or_empty("default_queue_type")};
    if (auto metadata = entry.inner("metadata")) {
        if (vhost.description.empty()) vhost.description = metadata->text_or_empty("description");
        if (vhost.tags.empty()) vhost.tags = metadata->tags();
        if (vhost.default_queue_type.empty())
            vhost.default_queue_type = metadata->text_or_empty("default_queue_type");
    }
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

UserDefinition read_user(Entry& entry, std::string_view rabbit_version) {
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

PermissionDefinition read_permission(Entry& entry) {
    return {entry.name("user"), entry.vhost(), entry.text("configure"), entry.text("write"),
            entry.text("read")};
}

TopicPermissionDefinition read_topic_permission(Entry& entry) {
    return {entry.name("user"), entry.vhost(), entry.name("exchange"), entry.text("write"),
            entry.text("read")};
}

ExchangeDefinition read_exchange(Entry& entry) {
    return {entry.vhost(),
            entry.name("name"),
            entry.name("type"),
            entry.flag("durable"),
            entry.flag_or_false("auto_delete"),
            entry.flag_or_false("internal"),
            entry.arguments()};
}

QueueDefinition read_queue(Entry& entry) {
    return {entry.vhost(), entry.name("name"), entry.flag("durable"), entry.flag_or_false("auto_delete"),
            entry.arguments()};
}

BindingDefinition read_binding(Entry& entry) {
    BindingDefinition binding{.vhost = entry.vhost(),
                              .source = entry.name("source"),
                              .destination = entry.name("destination"),
                              .routing_key = entry.name("routing_key"),
                              .arguments = entry.arguments()};
    const auto type = entry.text("destination_type");
    if (type != "queue" && type != "exchange") {
        entry.fail(fmt::format(R"("destination_type" must be "queue" or "exchange", not "{}")", type));
    }
    binding.destination_is_queue = type == "queue";
    return binding;
}

/// Appends each entry of a section, until one is wrong. `read` takes the entry, and its JSON too if it wants
/// to.
template <class Definition, class Read>
void read_section(simdjson::dom::object document, std::string_view section, std::vector<Definition>& into,
                  std::string& error, Read read) {
    element value;
    if (!error.empty() || document.at_key(section).get(value) != simdjson::SUCCESS) return;
    simdjson::dom::array list;
    if (value.get_array().get(list) != simdjson::SUCCESS) {
        error = fmt::format("\"{}\" must be a list, not {}", section, shown(value));
        return;
    }
    into.reserve(list.size());
    std::size_t index = 0;
    for (const element item : list) {
        Entry entry{fmt::format("{}[{}]", section, index++), item, error};
        auto definition = read(entry, item);
        if (!error.empty()) return;
        into.push_back(std::move(definition));
    }
}

}  // namespace

std::expected<Definitions, std::string> parse_definitions(std::string_view json) {
    simdjson::dom::parser parser;
    element root;
    if (const auto failure = parser.parse(json.data(), json.size()).get(root)) {
        return std::unexpected(fmt::format("line {}: this is not JSON: {}", line_of_json_error(json),
                                           simdjson::error_message(failure)));
    }
    simdjson::dom::object document;
    if (root.get_object().get(document) != simdjson::SUCCESS) {
        return std::unexpected(
            fmt::format(R"(definitions are an object with lists such as "queues", not {})", shown(root)));
    }

    Definitions result;
    std::string error;
    Entry whole{"the document", root, error};
    result.rabbit_version =
        whole.text_or_empty(whole.has("rabbit_version") ? "rabbit_version" : "rabbitmq_version");

    const auto plainly = [](auto read) { return [read](Entry& entry, element) { return read(entry); }; };
    const auto verbatim = [](bool in_vhost, bool has_component) {
        return [=](Entry& entry, element json_of_it) {
            return VerbatimDefinition{in_vhost ? entry.vhost() : "", entry.name("name"),
                                      simdjson::to_string(json_of_it),
                                      has_component ? entry.name("component") : ""};
        };
    };
    read_section(document, "vhosts", result.vhosts, error, plainly(read_vhost));
    read_section(document, "users", result.users, error,
                 [&](Entry& entry, element) { return read_user(entry, result.rabbit_version); });
    read_section(document, "permissions", result.permissions, error, plainly(read_permission));
    read_section(document, "topic_permissions", result.topic_permissions, error,
                 plainly(read_topic_permission));
    read_section(document, "exchanges", result.exchanges, error, plainly(read_exchange));
    read_section(document, "queues", result.queues, error, plainly(read_queue));
    read_section(document, "bindings", result.bindings, error, plainly(read_binding));
    read_section(document, "policies", result.policies, error, verbatim(true, false));
    read_section(document, "parameters", result.parameters, error, verbatim(true, true));
    read_section(document, "global_parameters", result.global_parameters, error, verbatim(false, false));
    if (!error.empty()) return std::unexpected(std::move(error));
    return result;
}

}  // namespace trilby::broker
