// SPDX-License-Identifier: Apache-2.0
// The payload of a header frame, down to its properties.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "protocol/properties.hpp"
#include "tests/fuzz/require.hpp"

using namespace trilby::protocol;
using trilby::fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view payload{reinterpret_cast<const char*>(data), size};
    const auto header = decode_content_header(payload);
    if (!header) return 0;
    require(payload.ends_with(header->properties));
    const auto properties = decode_properties(header->properties);
    if (!properties) return 0;
    require(!properties->headers || valid_table(properties->headers->raw()));
    require(encode_properties(*properties) == header->properties);
    return 0;
}
