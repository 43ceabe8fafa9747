// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace trilby::broker {

/// Names of queues and exchanges lose carriage returns and line feeds when they are declared, deleted or
/// bound, as on RabbitMQ.
inline std::string without_line_ends(std::string_view name) {
    std::string kept(name);
    std::erase_if(kept, [](char c) { return c == '\r' || c == '\n'; });
    return kept;
}

/// 22 characters of base64url, from 16 random octets of the kernel: unguessable.
std::string random_name();

}  // namespace trilby::broker
