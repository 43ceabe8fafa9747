// SPDX-License-Identifier: Apache-2.0
#include "broker/message/property_checks.hpp"

#include <fmt/format.h>

#include "protocol/byte_order.hpp"

namespace trilby::broker {

namespace {

/// AMQP 0-9-1, 4.2.6.1; the first property has the highest bit.
namespace flag {
constexpr std::uint16_t content_type = 1 << 15, content_encoding = 1 << 14, headers = 1 << 13,
                        priority = 1 << 11, correlation_id = 1 << 10, reply_to = 1 << 9, expiration = 1 << 8,
                        message_id = 1 << 7, timestamp = 1 << 6, type = 1 << 5, user_id = 1 << 4,
                        app_id = 1 << 3, cluster_id = 1 << 2;
}  // namespace flag
constexpr std::uint16_t of_concern = flag::headers | flag::reply_to | flag::expiration | flag::user_id | 3;

bool skip_short_strings(std::string_view& rest, int count) {
    for (; count > 0; --count) {
        if (rest.empty()) return false;
        const std::size_t size = 1 + std::size_t{static_cast<unsigned char>(rest[0])};
        if (rest.size() < size) return false;
        rest.remove_prefix(size);
    }
    return true;
}

bool skip(std::string_view& rest, std::size_t size) {
    if (rest.size() < size) return false;
    rest.remove_prefix(size);
    return true;
}

}  // namespace

bool properties::plain(std::string_view flags_and_values) {
    const auto flags = protocol::load_big_endian<std::uint16_t>(flags_and_values.data());
    if ((flags & of_concern) != 0) return false;
    std::string_view rest = flags_and_values.substr(2);
    const auto some = [flags](int bits) { return __builtin_popcount(flags & static_cast<unsigned>(bits)); };
    return skip_short_strings(rest, some(flag::content_type | flag::content_encoding)) &&
           skip(rest, static_cast<std::size_t>(some(properties::delivery_mode | flag::priority))) &&
           skip_short_strings(rest, some(flag::correlation_id | flag::message_id)) &&
           skip(rest, (flags & flag::timestamp) != 0 ? 8 : 0) &&
           skip_short_strings(rest, some(flag::type | flag::app_id | flag::cluster_id)) && rest.empty();
}

bool properties::persistent(std::string_view flags_and_values) {
    const auto flags = protocol::load_big_endian<std::uint16_t>(flags_and_values.data());
    std::string_view rest = flags_and_values.substr(2);
    if (!skip_short_strings(rest, __builtin_popcount(flags & static_cast<unsigned>(flag::content_type |
                                                                                   flag::content_encoding))))
        return false;
    if ((flags & flag::headers) != 0 &&
        (rest.size() < 4 ||
         !skip(rest, 4 + std::size_t{protocol::load_big_endian<std::uint32_t>(rest.data())})))
        return false;
    return !rest.empty() && rest[0] == 2;
}

std::optional<std::string> invalid_expiration(std::string_view text) {
    const auto invalid = [&](std::string_view reason) {
        return fmt::format("invalid expiration '{}': {}", text, reason);
    };
    std::string_view rest = text;
    const bool negative = rest.starts_with('-');
    if (negative || rest.starts_with('+')) rest.remove_prefix(1);
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    if (digits == 0) return invalid("no_integer");
    if (digits != rest.size()) return invalid(fmt::format("{{leftover_string,\"{}\"}}", rest.substr(digits)));
    rest.remove_prefix(std::min(rest.find_first_not_of('0'), rest.size() - 1));
    if (negative && rest != "0") return invalid(fmt::format("{{value_negative,-{}}}", rest));
    constexpr std::string_view most = "315360000000";
    if (rest.size() > most.size() || (rest.size() == most.size() && rest > most))
        return invalid(fmt::format("{{value_too_large,{}}}", rest));
    return std::nullopt;
}

std::string without_header(protocol::TableView table, std::string_view name) {
    protocol::TableBuilder kept;
    for (const auto& field : table)
        if (field.name != name) kept.value(field.name, field.value);
    return kept.take();
}

}  // namespace trilby::broker
