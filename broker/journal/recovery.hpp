// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/journal/files.hpp"
#include "broker/journal/writer.hpp"
#include "broker/message.hpp"

namespace trilby::broker::journal {

/// Octets that were promised and are not as they were written.
struct Damage {
    std::uint64_t segment;
    std::uint64_t offset;
    std::uint64_t size;
    std::string text;  // what was expected there
};

/// A living message.
struct Published {
    MessageId id;
    std::uint64_t stamp;
    std::uint32_t segment;
    std::uint32_t offset;  // by 8 octets
};

struct Recovered {
    State state;
    std::vector<Damage> damages;
    std::vector<Published> published;  // in the order of queues: by stamp and id
};

/// Reads all segments once, and makes sure that what it read is on the disk: after a kill the system shows
/// what a power cut would still take. A batch that was never promised and is not whole ends the journal; one
/// that was promised and is damaged is reported, and the rest counts. Doing it twice gives the same. Throws
/// std::system_error.
///
/// The faults are mutants, for the test that shows that it finds them.
enum class RecoveryFault : std::uint8_t { none, no_cut_at_a_hole, no_sync, seed_unchecked, digest_unchecked };
Recovered recover(Files& files, RecoveryFault fault = RecoveryFault::none);

struct LivingMessage {
    MessageId id;
    std::uint64_t stamp;
    // Good during the visit.
    std::span<const Living::Holder> holders;
    Publication publication;
};
/// Every living message, in the order of the log.
void read_living(Files& files, const State& state, const std::function<void(const LivingMessage&)>& visit);

}  // namespace trilby::broker::journal
