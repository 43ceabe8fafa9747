// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "broker/arguments/arguments.hpp"

namespace trilby::broker {
namespace {

using protocol::TableView;
using protocol::ValueView;

bool same(const ValueView& a, const ValueView& b) {
    if (const auto number = a.as_integer()) return b.as_integer() == number;
    if (const auto number = a.as_double()) return b.as_double() == number;
    if (const auto flag = a.as_boolean()) return b.as_boolean() == flag;
    return a.type == b.type && a.bytes == b.bytes;
}

std::string text_of(const ValueView& value) {
    if (const auto text = value.as_string()) return std::string{*text};
    if (const auto number = value.as_integer()) return fmt::format("{}", *number);
    if (const auto flag = value.as_boolean()) return *flag ? "true" : "false";
    return protocol::to_text(value);
}

std::string described(const std::optional<ValueView>& value) {
    if (!value) return "none";
    return fmt::format("the value '{}' of type '{}'", text_of(*value), protocol::type_word(value->type));
}

std::optional<std::string> compare(std::string_view argument, const std::optional<ValueView>& current,
                                   const std::optional<ValueView>& received, std::string_view resource) {
    if (current && received) {
        if (same(*current, *received)) return std::nullopt;
        return inequivalent_property(argument, resource, text_of(*received), text_of(*current));
    }
    if (!current && !received) return std::nullopt;
    return fmt::format("inequivalent arg '{}' for {}: received {} but current is {}", argument, resource,
                       described(received), described(current));
}

std::optional<QueueType> type_in(const std::optional<ValueView>& value, QueueType default_type) {
    if (!value) return default_type;
    const auto text = value->as_string();
    return text ? queue_type_of(*text) : std::nullopt;
}

}  // namespace

std::optional<std::string> inequivalent_argument(TableView current, TableView received,
                                                 std::string_view queue, std::string_view vhost,
                                                 QueueType default_type) {
    constexpr std::string_view type_argument = "x-queue-type";
    const auto resource = queue_in_vhost(queue, vhost);
    const auto type = type_in(current.find(type_argument), default_type).value_or(QueueType::classic);
    for (const auto name : known_queue_arguments(type)) {
        const auto now = current.find(name);
        const auto wanted = received.find(name);
        if (name == type_argument && type_in(wanted, default_type) == type) continue;
        if (auto error = compare(name, now, wanted, resource)) return error;
    }
    return std::nullopt;
}

std::string inequivalent_property(std::string_view property, std::string_view resource,
                                  std::string_view received, std::string_view current) {
    return fmt::format("inequivalent arg '{}' for {}: received '{}' but current is '{}'", property, resource,
                       received, current);
}

std::optional<std::string> inequivalent_exchange_argument(TableView current, TableView received,
                                                          std::string_view exchange, std::string_view vhost) {
    constexpr std::string_view name = "alternate-exchange";
    return compare(name, current.find(name), received.find(name), exchange_in_vhost(exchange, vhost));
}

}  // namespace trilby::broker
