// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace trilby::protocol {

/// In double quotes, fit for one line of a log or a terminal: control characters, and all bytes of 0x80 and
/// above when the whole is not UTF-8, come out as \xNN.
void append_quoted(std::string& out, std::string_view text);

}  // namespace trilby::protocol
