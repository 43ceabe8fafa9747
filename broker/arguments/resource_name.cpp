// SPDX-License-Identifier: Apache-2.0
#include "broker/arguments/resource_name.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <sys/random.h>

#include "protocol/base64.hpp"

namespace trilby::broker {

std::string random_name() {
    std::array<char, 16> random{};
    if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
        throw std::runtime_error("the kernel gives no random octets");
    std::string name = protocol::base64({random.data(), random.size()});
    name.resize(22);  // the rest is padding
    std::ranges::replace(name, '+', '-');
    std::ranges::replace(name, '/', '_');
    return name;
}

}  // namespace trilby::broker
