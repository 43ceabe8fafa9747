// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace trilby::broker {

/// Where connections are accepted.
struct Listener {
    std::string host;        // a name or a numeric address, IPv6 without brackets
    std::uint16_t port = 0;  // 0: the system chooses one

    bool operator==(const Listener&) const = default;
};
/// "HOST:PORT", IPv6 in brackets. The error is a sentence.
std::expected<Listener, std::string> parse_listener(std::string_view text);
std::string to_text(const Listener& listener);

}  // namespace trilby::broker
