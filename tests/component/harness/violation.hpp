// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>
#include <string>

#include <fmt/format.h>

namespace trilby::harness {

/// The broker did what the model forbids.
struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class... A>
void require(bool holds, fmt::format_string<A...> text, A&&... arguments) {
    if (!holds) throw Violation(fmt::format(text, std::forward<A>(arguments)...));
}

}  // namespace trilby::harness
