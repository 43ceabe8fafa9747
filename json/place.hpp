// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace trilby::json {

/// The line, from 1, near which a text stops being JSON. For error messages: the document is walked once
/// more.
std::size_t line_of_error(std::string_view json);

}  // namespace trilby::json
