// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

#include "protocol/field_table.hpp"
#include "protocol/methods/field.hpp"

namespace trilby::protocol {

/// The basic properties; views into what they were decoded from. A property can be present and empty.
struct Properties {
    std::optional<std::string_view> content_type{};
    std::optional<std::string_view> content_encoding{};
    std::optional<TableView> headers{};
    std::optional<std::uint8_t> delivery_mode{};  ///< 2: persistent
    std::optional<std::uint8_t> priority{};
    std::optional<std::string_view> correlation_id{};
    std::optional<std::string_view> reply_to{};
    std::optional<std::string_view> expiration{};  ///< milliseconds, in decimal digits
    std::optional<std::string_view> message_id{};
    std::optional<std::uint64_t> timestamp{};  ///< seconds since the epoch
    std::optional<std::string_view> type{};
    std::optional<std::string_view> user_id{};
    std::optional<std::string_view> app_id{};
    std::optional<std::string_view> cluster_id{};  ///< "reserved" since 0-9-1

    // In the order of their flags, bit 15 first, and of their values.
    static constexpr auto fields = std::tuple{Field{"content-type", &Properties::content_type},
                                              Field{"content-encoding", &Properties::content_encoding},
                                              Field{"headers", &Properties::headers},
                                              Field{"delivery-mode", &Properties::delivery_mode},
                                              Field{"priority", &Properties::priority},
                                              Field{"correlation-id", &Properties::correlation_id},
                                              Field{"reply-to", &Properties::reply_to},
                                              Field{"expiration", &Properties::expiration},
                                              Field{"message-id", &Properties::message_id},
                                              Field{"timestamp", &Properties::timestamp},
                                              Field{"type", &Properties::type},
                                              Field{"user-id", &Properties::user_id},
                                              Field{"app-id", &Properties::app_id},
                                              Field{"cluster-id", &Properties::cluster_id}};
};

/// Flags and values, all of it: nullopt when cut short, malformed, followed by more, or with a second flags
/// word (no basic property lives there).
std::optional<Properties> decode_properties(std::string_view flags_and_values);

std::string encode_properties(const Properties& properties);

/// The payload of a header frame.
struct ContentHeader {
    std::uint16_t class_id = 0;
    std::uint16_t weight = 0;
    std::uint64_t body_size = 0;
    std::string_view properties;  ///< flags and values, not looked at yet
};

/// nullopt: cut short.
std::optional<ContentHeader> decode_content_header(std::string_view payload);

}  // namespace trilby::protocol
