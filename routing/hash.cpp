// SPDX-License-Identifier: Apache-2.0
#include "routing/hash.hpp"

#include <random>

namespace trilby::routing {

const std::array<std::uint64_t, secret_lanes> hash_secret = [] {
    std::array<std::uint64_t, secret_lanes> secret{};
    std::random_device device;
    for (auto& lane : secret) lane = std::uint64_t{device()} << 32 | device();
    return secret;
}();

}  // namespace trilby::routing
