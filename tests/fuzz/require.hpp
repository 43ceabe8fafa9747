// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

namespace trilby::fuzz {

/// A rule that no input may break: in every build, unlike assert.
inline void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace trilby::fuzz
