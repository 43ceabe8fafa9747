// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

// JSON is text, and what AMQP calls a string is any octets. Text is written as it is. An octet that is not
// UTF-8 becomes the private character U+10FFxx, where xx is the octet; so do the four octets of such a
// character that was there before, and every string comes back as it was.

namespace trilby::json {

/// With its quotes. Nothing in it steers a terminal: control characters, and those private ones, are escaped.
void append_string(std::string& out, std::string_view octets);

/// What append_string was given, of the string that a parser has made of it.
std::string octets_of(std::string_view text);

}  // namespace trilby::json
