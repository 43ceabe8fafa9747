// SPDX-License-Identifier: Apache-2.0
#include "protocol/utf8.hpp"

#include <algorithm>

#include <simdjson.h>

namespace trilby::protocol {

bool valid_utf8(std::string_view text) {
    // Names are short and nearly always ASCII: not worth an indirect call.
    const auto is_ascii = [](char c) { return static_cast<unsigned char>(c) < 0x80; };
    if (text.size() <= 64 && std::all_of(text.begin(), text.end(), is_ascii)) return true;
    return simdjson::validate_utf8(text.data(), text.size());
}

}  // namespace trilby::protocol
