// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace trilby::client {

/// Is it a terminal that can do more than print? Not if TERM is "dumb".
bool moves_the_cursor(int descriptor);

/// The same, and nobody has asked for text without colours: https://no-color.org
bool shows_colours(int descriptor);

}  // namespace trilby::client
