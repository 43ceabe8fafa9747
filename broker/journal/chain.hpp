// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/journal/damage.hpp"
#include "broker/journal/files.hpp"
#include "broker/journal/remembered.hpp"
#include "broker/journal/scan.hpp"

namespace trilby::broker::journal {

/// One segment, as its head tells, or what can be told without.
struct Link {
    std::uint64_t number;
    std::uint64_t size;  // of its file
    bool has_head;       // else the head below says only whose it is
    SegmentHead head;
    std::uint64_t bad_copy;  // of the head: its place; 0 may be one
    bool copy_is_bad;
    bool gap_before;  // what stood before it is not in the chain
};

/// The journal's segments in their order, and what of the directory is not among them.
struct Chain {
    std::uint64_t journal = 0;  // its number; 0: there is none
    std::vector<Link> links;    // oldest first
    std::vector<Damage> damages;
    std::uint64_t next_segment = 1;
    std::uint64_t damaged_through = 0;   // the newest segment that is missing or damaged so far
    std::vector<std::string> aside;      // files that cannot be placed: to be moved aside
    std::vector<std::string> unbegun;    // made and never begun, as far as can be seen
    std::vector<std::string> forgotten;  // nothing in them is needed any more
};

/// Reads every head. Changes nothing. Throws std::system_error.
///
/// A segment whose head cannot be read is told from one that was never begun by its batches, which are only
/// written when the head is on the disk.
Chain find_chain(Files& files, Remembered remembered);

}  // namespace trilby::broker::journal
