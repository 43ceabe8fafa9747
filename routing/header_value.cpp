// SPDX-License-Identifier: Apache-2.0
#include "routing/header_value.hpp"

#include <bit>

#include "routing/hash.hpp"

namespace trilby::routing {

HeaderValue::HeaderValue(const protocol::ValueView& value) : kind(value.type) {
    const auto whole = [this](std::int64_t found) {
        kind = 'l';
        number = found;
    };
    const auto real = [&](double found) {
        // Between these bounds the conversion is defined; NaN is outside.
        if (found >= -0x1p63 && found < 0x1p63 &&
            static_cast<double>(static_cast<std::int64_t>(found)) == found) {
            whole(static_cast<std::int64_t>(found));
        } else {
            kind = 'd';
            number = std::bit_cast<std::int64_t>(found);
        }
    };
    switch (value.type) {
        case 'S':
        case 'x':
            kind = 'S';
            bytes = value.bytes;
            break;
        case 't': number = *value.as_boolean(); break;
        case 'T': whole(static_cast<std::int64_t>(*value.as_timestamp())); break;
        case 'f':
        case 'd': real(*value.as_double()); break;
        default:
            if (const auto integer = value.as_integer()) {
                whole(*integer);
            } else {
                bytes = value.bytes;
            }
    }
}

std::uint64_t HeaderValue::hash() const {
    return bytes.empty() ? hash_integers(static_cast<std::uint64_t>(number), static_cast<unsigned char>(kind))
                         : hash_bytes(bytes) ^ static_cast<unsigned char>(kind);
}

}  // namespace trilby::routing
