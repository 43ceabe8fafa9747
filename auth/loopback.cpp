// SPDX-License-Identifier: Apache-2.0
#include "auth/loopback.hpp"

#include <charconv>
#include <cstdint>
#include <string_view>

namespace trilby::auth {
namespace {

bool is_loopback_v4(std::string_view text) {
    std::uint8_t octet = 0;
    for (int i = 0; i < 4; ++i) {
        const auto read = std::from_chars(text.data(), text.data() + text.size(), octet);
        if (read.ec != std::errc{} || (i == 0 && octet != 127)) return false;
        text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
        if (i < 3) {
            if (!text.starts_with('.')) return false;
            text.remove_prefix(1);
        }
    }
    return text.empty();
}

}  // namespace

bool is_loopback(const std::string& address) {
    constexpr std::string_view mapped = "::ffff:";
    if (address.starts_with(mapped)) return is_loopback_v4(std::string_view{address}.substr(mapped.size()));
    return address == "::1" || is_loopback_v4(address);
}

}  // namespace trilby::auth
