// SPDX-License-Identifier: Apache-2.0
#include "broker/arguments/arguments.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "protocol/erlang_text.hpp"

namespace trilby::broker {
namespace {

using protocol::TableView;
using protocol::ValueView;
using std::chrono::milliseconds;

using Check = std::expected<void, std::string>;  // the reason, as the Erlang term that RabbitMQ prints

constexpr std::int64_t longest_expiry_ms = 315'360'000'000;
constexpr std::int64_t largest_segment = 3'000'000'000;

struct TypeNames {
    QueueType type;
    std::string_view word, module;
};
constexpr std::array queue_types{
    TypeNames{QueueType::classic, "classic", "rabbit_classic_queue"},
    TypeNames{QueueType::quorum, "quorum", "rabbit_quorum_queue"},
    TypeNames{QueueType::stream, "stream", "rabbit_stream_queue"},
};

const TypeNames& names(QueueType type) {
    return *std::ranges::find(queue_types, type, &TypeNames::type);
}

std::string invalid_argument(std::string_view argument, std::string_view resource, std::string_view reason) {
    return fmt::format("invalid arg '{}' for {}: {}", argument, resource, reason);
}

std::string of_queue_type(std::string_view argument, std::string_view resource, QueueType type) {
    return fmt::format("invalid arg '{}' for {} of queue type {}", argument, resource, module_name(type));
}

std::string erlang_string(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c;
    }
    return result += '"';
}

// The kinds of check, named as the reasons they give.

std::unexpected<std::string> tagged(std::string_view tag, std::int64_t value) {
    return std::unexpected(fmt::format("{{{},{}}}", tag, value));
}

std::unexpected<std::string> unacceptable_type(const ValueView& value) {
    return std::unexpected(fmt::format("{{unacceptable_type,{}}}", protocol::type_word(value.type)));
}

std::expected<std::int64_t, std::string> integer(const ValueView& value) {
    if (const auto number = value.as_integer()) return *number;
    return std::unexpected(fmt::format("\"expected integer, got {}\"", protocol::type_word(value.type)));
}

std::expected<std::int64_t, std::string> not_negative(const ValueView& value) {
    auto number = integer(value);
    if (number && *number < 0) return tagged("value_negative", *number);
    return number;
}

std::expected<std::int64_t, std::string> positive(const ValueView& value) {
    auto number = not_negative(value);
    if (number && *number == 0) return tagged("value_zero", 0);
    return number;
}

std::expected<std::int64_t, std::string> expiry(std::expected<std::int64_t, std::string> number) {
    if (number && *number > longest_expiry_ms) return tagged("value_too_large", *number);
    return number;
}

std::expected<std::string_view, std::string> word(const ValueView& value) {
    if (value.type != 'S') return unacceptable_type(value);
    return value.bytes;
}

std::expected<bool, std::string> boolean(const ValueView& value) {
    if (const auto flag = value.as_boolean()) return *flag;
    return unacceptable_type(value);
}

/// N followed by Y M D h m s. None: not of that form.
std::optional<std::chrono::seconds> age(std::string_view text) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || count <= 0 || text.starts_with('-') || end + 1 != text.data() + text.size()) {
        return std::nullopt;
    }
    constexpr std::array<std::pair<char, std::int64_t>, 6> units{
        {{'Y', 31'536'000}, {'M', 2'592'000}, {'D', 86'400}, {'h', 3'600}, {'m', 60}, {'s', 1}}};
    const auto* unit = std::ranges::find(units, *end, &std::pair<char, std::int64_t>::first);
    if (unit == units.end()) return std::nullopt;
    std::int64_t seconds = 0;
    if (__builtin_mul_overflow(count, unit->second, &seconds)) return std::nullopt;
    return std::chrono::seconds{seconds};
}

/// Stores what a check found, or passes its reason on.
template <class Found, class Member>
Check store(const std::expected<Found, std::string>& found, std::optional<Member>& member) {
    if (!found) return std::unexpected(found.error());
    member = Member(*found);
    return {};
}

template <std::optional<std::uint64_t> QueueArguments::*member>
Check count(const ValueView& value, TableView, QueueArguments& into) {
    return store(not_negative(value), into.*member);
}

Check read_expires(const ValueView& value, TableView, QueueArguments& into) {
    return store(expiry(positive(value)), into.expires);
}

Check read_message_ttl(const ValueView& value, TableView, QueueArguments& into) {
    return store(expiry(not_negative(value)), into.message_ttl);
}

Check read_dead_letter_exchange(const ValueView& value, TableView, QueueArguments& into) {
    return store(word(value), into.dead_letter_exchange);
}

Check read_dead_letter_routing_key(const ValueView& value, TableView all, QueueArguments& into) {
    auto key = word(value);
    if (key && !all.find("x-dead-letter-exchange")) key = std::unexpected("routing_key_but_no_dlx_defined");
    return store(key, into.dead_letter_routing_key);
}

Check read_dead_letter_strategy(const ValueView& value, TableView, QueueArguments& into) {
    const auto strategy = word(value);
    if (!strategy) return std::unexpected(strategy.error());
    if (*strategy == "at-most-once") into.dead_letter_strategy = DeadLetterStrategy::at_most_once;
    if (*strategy == "at-least-once") into.dead_letter_strategy = DeadLetterStrategy::at_least_once;
    if (!into.dead_letter_strategy) return std::unexpected("invalid_dlx_strategy");
    return {};
}

Check read_max_priority(const ValueView& value, TableView, QueueArguments& into) {
    auto levels = not_negative(value);
    if (levels && *levels > 255) levels = tagged("max_value_exceeded", *levels);
    return store(levels, into.max_priority);
}

Check read_overflow(const ValueView& value, TableView, QueueArguments& into) {
    const auto overflow = word(value);
    if (!overflow) return std::unexpected(overflow.error());
    if (*overflow == "drop-head") into.overflow = Overflow::drop_head;
    if (*overflow == "reject-publish") into.overflow = Overflow::reject_publish;
    if (*overflow == "reject-publish-dlx") into.overflow = Overflow::reject_publish_dlx;
    if (!into.overflow) return std::unexpected("invalid_overflow");
    return {};
}

Check read_queue_mode(const ValueView& value, TableView, QueueArguments& into) {
    auto mode = word(value);
    if (mode && *mode != "default" && *mode != "lazy") {
        mode = std::unexpected(erlang_string(fmt::format("unsupported queue mode '{}'", *mode)));
    }
    return store(mode, into.queue_mode);
}

Check read_queue_version(const ValueView& value, TableView, QueueArguments& into) {
    auto version = not_negative(value);
    if (version && *version != 1 && *version != 2) {
        version = std::unexpected(fmt::format("\"unsupported queue version '{}'\"", *version));
    }
    return store(version, into.queue_version);
}

Check read_single_active_consumer(const ValueView& value, TableView, QueueArguments& into) {
    return store(boolean(value), into.single_active_consumer);
}

Check read_initial_size(const ValueView& value, TableView, QueueArguments& into) {
    return store(positive(value), into.initial_cluster_size);
}

Check read_max_age(const ValueView& value, TableView, QueueArguments& into) {
    const auto text = word(value);
    if (!text) return std::unexpected(text.error());
    into.max_age = age(*text);
    if (!into.max_age) return std::unexpected("invalid_max_age");
    return {};
}

Check read_leader_locator(const ValueView& value, TableView, QueueArguments& into) {
    constexpr std::array<std::string_view, 4> locators{"client-local", "balanced", "random", "least-leaders"};
    auto locator = word(value);
    if (locator && std::ranges::find(locators, *locator) == locators.end()) {
        locator = std::unexpected("invalid_queue_locator_arg");
    }
    return store(locator, into.leader_locator);
}

Check read_delivery_limit(const ValueView& value, TableView, QueueArguments& into) {
    into.delivery_limit = value.as_integer();  // RabbitMQ 3 takes anything and heeds integers
    return {};
}

Check read_master_locator(const ValueView& value, TableView, QueueArguments& into) {
    if (const auto locator = value.as_string()) into.master_locator = *locator;
    return {};
}

Check read_queue_type(const ValueView& value, TableView, QueueArguments& into) {
    const auto text = word(value);
    if (!text) return std::unexpected(text.error());
    const auto type = queue_type_of(*text);
    if (!type) return std::unexpected(erlang_string(fmt::format("unsupported queue type '{}'", *text)));
    into.type = *type;
    return {};
}

constexpr unsigned C = 1u << static_cast<unsigned>(QueueType::classic);
constexpr unsigned Q = 1u << static_cast<unsigned>(QueueType::quorum);
constexpr unsigned S = 1u << static_cast<unsigned>(QueueType::stream);

struct KnownArgument {
    std::string_view name;
    unsigned types;  // C, Q and S
    Check (*check)(const ValueView&, TableView all, QueueArguments&);

    bool of(QueueType type) const { return (types >> static_cast<unsigned>(type) & 1u) != 0; }
};

using A = QueueArguments;

/// In the order in which RabbitMQ checks and compares them.
constexpr std::array known_arguments{
    KnownArgument{"x-queue-type", C | Q | S, read_queue_type},
    KnownArgument{"x-expires", C | Q, read_expires},
    KnownArgument{"x-message-ttl", C | Q, read_message_ttl},
    KnownArgument{"x-dead-letter-exchange", C | Q, read_dead_letter_exchange},
    KnownArgument{"x-dead-letter-routing-key", C | Q, read_dead_letter_routing_key},
    KnownArgument{"x-dead-letter-strategy", Q, read_dead_letter_strategy},
    KnownArgument{"x-max-length", C | Q, count<&A::max_length>},
    KnownArgument{"x-max-length-bytes", C | Q | S, count<&A::max_length_bytes>},
    KnownArgument{"x-max-in-memory-length", Q, count<&A::max_in_memory_length>},
    KnownArgument{"x-max-in-memory-bytes", Q, count<&A::max_in_memory_bytes>},
    KnownArgument{"x-max-priority", C, read_max_priority},
    KnownArgument{"x-overflow", C | Q, read_overflow},
    KnownArgument{"x-queue-mode", C, read_queue_mode},
    KnownArgument{"x-queue-version", C, read_queue_version},
    KnownArgument{"x-single-active-consumer", C | Q, read_single_active_consumer},
    KnownArgument{"x-quorum-initial-group-size", Q, read_initial_size},
    KnownArgument{"x-max-age", S, read_max_age},
    KnownArgument{"x-stream-max-segment-size-bytes", S, count<&A::max_segment_size_bytes>},
    KnownArgument{"x-stream-filter-size-bytes", S, count<&A::filter_size_bytes>},
    KnownArgument{"x-initial-cluster-size", S, read_initial_size},
    KnownArgument{"x-queue-leader-locator", C | Q | S, read_leader_locator},
    KnownArgument{"x-delivery-limit", Q, read_delivery_limit},
    KnownArgument{"x-queue-master-locator", C, read_master_locator},
};

/// Limits of streams that RabbitMQ checks when it creates one, after everything else.
std::optional<std::string_view> stream_limit_error(const QueueArguments& arguments) {
    if (arguments.max_segment_size_bytes > std::uint64_t{largest_segment}) {
        return "Exceeded max value for x-stream-max-segment-size-bytes";
    }
    if (arguments.filter_size_bytes &&
        (*arguments.filter_size_bytes < 16 || *arguments.filter_size_bytes > 255)) {
        return "Invalid value for x-stream-filter-size-bytes";
    }
    return std::nullopt;
}

/// What x-stream-offset may be: a number, a time, or a word.
bool valid_stream_offset(const ValueView& value) {
    if (value.type == 'T') return true;
    if (const auto offset = value.as_integer()) return *offset >= 0;
    if (value.type != 'S') return false;
    return value.bytes == "first" || value.bytes == "last" || value.bytes == "next" || age(value.bytes);
}

}  // namespace

std::string queue_in_vhost(std::string_view queue, std::string_view vhost) {
    return fmt::format("queue '{}' in vhost '{}'", queue, vhost);
}

std::string exchange_in_vhost(std::string_view exchange, std::string_view vhost) {
    return fmt::format("exchange '{}' in vhost '{}'", exchange, vhost);
}

std::string_view to_word(QueueType type) {
    return names(type).word;
}

std::string_view module_name(QueueType type) {
    return names(type).module;
}

std::optional<QueueType> queue_type_of(std::string_view word) {
    const auto found = std::ranges::find(queue_types, word, &TypeNames::word);
    if (found == queue_types.end()) return std::nullopt;
    return found->type;
}

std::vector<std::string_view> known_queue_arguments(QueueType type) {
    std::vector<std::string_view> result;
    for (const auto& known : known_arguments) {
        if (known.of(type)) result.push_back(known.name);
    }
    return result;
}

std::expected<std::optional<std::string_view>, std::string> check_dead_letter_exchange(
    TableView arguments, std::string_view queue, std::string_view vhost) {
    constexpr std::string_view name = "x-dead-letter-exchange";
    const auto value = arguments.find(name);
    if (!value) return std::nullopt;
    if (value->type != 'S') {
        return std::unexpected(fmt::format("invalid type '{}' for arg '{}' in {}",
                                           protocol::type_word(value->type), name,
                                           queue_in_vhost(queue, vhost)));
    }
    return value->bytes;
}

std::expected<QueueArguments, std::string> check_queue_arguments(TableView arguments, std::string_view queue,
                                                                 std::string_view vhost,
                                                                 QueueType default_type) {
    if (const auto exchange = check_dead_letter_exchange(arguments, queue, vhost); !exchange) {
        return std::unexpected(exchange.error());
    }
    const auto resource = queue_in_vhost(queue, vhost);
    QueueArguments result;
    result.type = default_type;
    result.consumer_timeout = arguments.find("x-consumer-timeout").has_value();
    for (const auto& known : known_arguments) {
        if (!known.of(result.type)) continue;
        const auto value = arguments.find(known.name);
        if (!value) continue;
        if (const auto check = known.check(*value, arguments, result); !check) {
            return std::unexpected(invalid_argument(known.name, resource, check.error()));
        }
    }
    for (const auto& [name, value] : arguments) {
        const auto known = std::ranges::find(known_arguments, name, &KnownArgument::name);
        if (known != known_arguments.end() && !known->of(result.type)) {
            return std::unexpected(of_queue_type(name, resource, result.type));
        }
    }
    if (const auto error = stream_limit_error(result)) return std::unexpected(std::string(*error));
    return result;
}

std::string unsupported_queue_type(QueueType type, std::string_view queue, std::string_view vhost) {
    return invalid_argument("x-queue-type", queue_in_vhost(queue, vhost),
                            erlang_string(fmt::format("unsupported queue type '{}'", to_word(type))));
}

std::optional<std::string> check_queue_properties(QueueType type, QueueProperties properties,
                                                  std::string_view queue, std::string_view vhost) {
    if (type == QueueType::classic) return std::nullopt;
    std::string_view property;
    if (properties.auto_delete) {
        property = "auto-delete";
    } else if (properties.exclusive) {
        property = "exclusive-owner";
    } else if (!properties.durable) {
        property = "non-durable";
    } else {
        return std::nullopt;
    }
    return fmt::format("invalid property '{}' for {}", property, queue_in_vhost(queue, vhost));
}

std::expected<ExchangeArguments, std::string> check_exchange_arguments(TableView arguments,
                                                                       std::string_view exchange,
                                                                       std::string_view vhost) {
    ExchangeArguments result;
    if (const auto alternate = arguments.find("alternate-exchange")) {
        if (alternate->type != 'S') {
            return std::unexpected(fmt::format("invalid type '{}' for arg 'alternate-exchange' in {}",
                                               protocol::type_word(alternate->type),
                                               exchange_in_vhost(exchange, vhost)));
        }
        result.alternate_exchange = alternate->bytes;
    }
    return result;
}

std::expected<ConsumerArguments, std::string> check_consumer_arguments(TableView arguments, QueueType type,
                                                                       std::string_view queue,
                                                                       std::string_view vhost) {
    const auto resource = queue_in_vhost(queue, vhost);
    const bool stream = type == QueueType::stream;
    ConsumerArguments result;
    if (const auto value = arguments.find("x-priority"); value && !stream) {
        if (const auto check = store(integer(*value), result.priority); !check) {
            return std::unexpected(invalid_argument("x-priority", resource, check.error()));
        }
    }
    if (const auto value = arguments.find("x-cancel-on-ha-failover"); value && type == QueueType::classic) {
        if (const auto check = store(boolean(*value), result.cancel_on_ha_failover); !check) {
            return std::unexpected(invalid_argument("x-cancel-on-ha-failover", resource, check.error()));
        }
    }
    if (const auto value = arguments.find("x-stream-offset");
        value && stream && !valid_stream_offset(*value)) {
        const auto shown =
            value->type == 'S' ? protocol::erlang_binary(value->bytes) : protocol::to_text(*value);
        return std::unexpected(invalid_argument(
            "x-stream-offset", resource,
            fmt::format("{{invalid_stream_offset_arg,{{{},{}}}}}", protocol::type_word(value->type), shown)));
    }
    for (const auto& [name, value] : arguments) {
        const bool foreign = (name == "x-priority" && stream) || (name == "x-stream-offset" && !stream) ||
                             (name == "x-cancel-on-ha-failover" && type != QueueType::classic);
        if (foreign) return std::unexpected(of_queue_type(name, resource, type));
    }
    return result;
}

}  // namespace trilby::broker
