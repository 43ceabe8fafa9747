// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>

namespace trilby::client {

/// Why an operation failed. `code` is the reply code when the broker closed the channel or connection (403,
/// 404, …) and 0 when the trouble is on this side: the address, the network, a deadline.
struct Error {
    std::uint16_t code = 0;
    std::string text;
    bool interrupted = false;  // somebody has asked to end it; the connection may be used further
};

template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> failure(std::string text, std::uint16_t code = 0) {
    return std::unexpected(Error{code, std::move(text)});
}

inline Error interruption() {
    return {.code = 0, .text = "interrupted", .interrupted = true};
}

}  // namespace trilby::client
