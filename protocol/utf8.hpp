// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace trilby::protocol {

bool valid_utf8(std::string_view text);

}  // namespace trilby::protocol
