// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include "client/message.hpp"
#include "program/readable_json.hpp"

namespace trilby::client {

/// For a reader: a heading with the topic, then headers and body, indented, and an empty line. Whatever the
/// message holds, nothing of it but the topic stands at the start of a line, and none of it steers the
/// terminal. `columns` is how wide the terminal is, which would otherwise put the rest of a long line there;
/// 0: it is none.
std::string delivery_to_text(const Delivery& delivery, const Palette& palette, std::size_t columns);

}  // namespace trilby::client
