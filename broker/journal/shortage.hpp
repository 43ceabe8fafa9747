// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <system_error>

namespace trilby::broker::journal {

/// There is nothing that a segment could be made of now: no room on the disk, no descriptor, no memory.
/// Nothing was written; the same step may be tried again.
class Shortage : public std::system_error {
  public:
    using std::system_error::system_error;
};

/// Of the making, opening or renaming of a file: a reason to wait, not to end. A write or a sync that fails
/// is final, whatever it says.
inline bool is_shortage(const std::system_error& error) {
    switch (error.code().value()) {
        case ENOSPC:
        case EDQUOT:
        case EMFILE:
        case ENFILE:
        case ENOMEM: return true;
        default: return false;
    }
}

}  // namespace trilby::broker::journal
