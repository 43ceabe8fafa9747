// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Text from outside, for a line of a log or a terminal. It stays on its line, steers no terminal, and looks
// like what it is: control characters, what is not UTF-8, and characters that are invisible or change the
// direction of what is read come out as \xNN, octet by octet.

namespace trilby::protocol {

/// In double quotes; those in the text and backslashes get a backslash.
void append_quoted(std::string& out, std::string_view text);

/// A name in single quotes, as sentences have them: 'a\'b'. Beyond `most` octets it is cut, and its size
/// said: 'aaaa…' (5000 octets).
std::string quoted(std::string_view text, std::size_t most = 255);

/// A sentence with foreign words in it, such as a reply text: without quotes, and backslashes stay.
std::string printable(std::string_view text);
void append_printable(std::string& out, std::string_view text);

}  // namespace trilby::protocol
