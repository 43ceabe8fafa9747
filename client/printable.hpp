// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace trilby::client {

/// Text that came from somewhere else, on one line of a terminal that it cannot steer: a ? for each control
/// character, line end, character that turns the direction of writing, and octet that is not UTF-8. Tabs
/// stay.
std::string printable(std::string_view text);

/// Is it that already?
bool is_printable(std::string_view text);

}  // namespace trilby::client
