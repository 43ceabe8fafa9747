// SPDX-License-Identifier: Apache-2.0
#include "broker/arguments/resource_name.hpp"

#include <array>
#include <cstdint>
#include <stdexcept>

#include <sys/random.h>

namespace trilby::broker {

std::string random_name() {
    std::array<unsigned char, 18> random{};  // the last two stay zero: 22 characters hold 16 octets
    if (::getrandom(random.data(), 16, 0) != 16)
        throw std::runtime_error("the kernel gives no random octets");
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string name;
    for (std::size_t i = 0; i < random.size(); i += 3) {
        const std::uint32_t bits =
            std::uint32_t{random[i]} << 16 | std::uint32_t{random[i + 1]} << 8 | std::uint32_t{random[i + 2]};
        for (const unsigned shift : {18u, 12u, 6u, 0u}) name += letters[(bits >> shift) & 63];
    }
    name.resize(22);
    return name;
}

}  // namespace trilby::broker
