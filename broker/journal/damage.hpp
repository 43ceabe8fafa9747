// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace trilby::broker::journal {

/// Octets that were promised and are not as they were written, or not there.
struct Damage {
    enum class Kind : std::uint8_t {
        rot,      // the file is there, and something in it is not what was written
        missing,  // a part of the journal is gone: not the disk's doing, most likely
    };
    Kind kind;
    std::string file;
    std::uint64_t offset;
    std::uint64_t size;  // octets concerned; 0: it cannot be told
    std::string text;    // what was expected there, or what became of it
};

/// "000000000042.seg: 96 octets at 4096 are damaged: batch 17"
std::string to_text(const Damage& damage);

}  // namespace trilby::broker::journal
