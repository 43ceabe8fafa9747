// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace trilby::client {

/// A message as it came from the broker; everything owned. `properties` are in wire form
/// (protocol/properties.hpp).
struct Message {
    std::string exchange{}, routing_key{}, properties{}, body{};

    bool operator==(const Message&) const = default;
};

struct Delivery {
    std::uint64_t delivery_tag = 0;
    bool redelivered = false;
    Message message;
};

/// A mandatory message that no queue took.
struct Returned {
    std::uint16_t code = 0;
    std::string text;
    Message message;
};

}  // namespace trilby::client
