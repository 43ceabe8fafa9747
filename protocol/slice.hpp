// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <string_view>

namespace trilby::protocol {

/// As substr, for who knows that all of it is there: that looks once more, and is a call, for each message.
constexpr std::string_view slice(std::string_view bytes, std::size_t at, std::size_t size) {
    assert(at <= bytes.size() && size <= bytes.size() - at);
    return {bytes.data() + at, size};
}
constexpr std::string_view slice(std::string_view bytes, std::size_t at) {
    return slice(bytes, at, bytes.size() - at);
}

}  // namespace trilby::protocol
