// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/ids/ids.hpp"

namespace trilby::broker {

/// The name that a requester consumes and names in reply-to, and under which nothing else is known.
inline constexpr std::string_view direct_reply_name = "amq.rabbitmq.reply-to";

/// Where a direct reply goes. Its name is what the replier sees: `amq.rabbitmq.reply-to.` and hexadecimal
/// digits. The secret is random, so only who got the request can reply.
struct ReplyAddress {
    AskerId connection{};
    std::uint16_t channel = 0;
    std::uint64_t secret = 0;

    std::string name() const;
    static std::optional<ReplyAddress> parse(std::string_view name);
};

std::uint64_t random_secret();

}  // namespace trilby::broker
