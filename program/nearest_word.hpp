// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trilby::client {

/// The one of `known` that somebody who typed `word` probably meant: so few letters are wrong, missing, too
/// many or swapped with their neighbour that it is hardly another word. Nothing when none is near enough.
std::optional<std::string> nearest_word(std::string_view word, const std::vector<std::string>& known);

}  // namespace trilby::client
