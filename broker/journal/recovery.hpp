// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "broker/journal/chain.hpp"
#include "broker/journal/damage.hpp"
#include "broker/journal/files.hpp"
#include "broker/journal/scan.hpp"
#include "broker/journal/writer.hpp"
#include "broker/message/message.hpp"

namespace trilby::broker::journal {

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
    std::vector<Published> published;    // in the order of queues: by stamp and id
    std::vector<std::string> aside;      // files that cannot be placed
    std::vector<std::string> forgotten;  // files of which nothing is needed, or that were never begun
};

/// Reads all segments once, and makes sure that what it read is on the disk: after a kill the system shows
/// what a power cut would still take. A batch that was never promised and is not whole ends the journal; one
/// that was promised and is damaged is reported, and the rest counts. Changes nothing; doing it twice gives
/// the same. Throws std::system_error.
Recovered recover(Files& files, Remembered remembered = {}, RecoveryFault fault = RecoveryFault::none);

/// Once it is decided to go on with what was recovered: removes what is not needed, moves aside what cannot
/// be placed. A damaged segment goes aside later, when its living messages are written elsewhere. Throws
/// std::system_error.
void clear_away(Files& files, const Recovered& recovered);

struct LivingMessage {
    MessageId id;
    std::uint64_t stamp;
    // Good during the visit.
    std::span<const Living::Holder> holders;
    Publication publication;
};
/// Every living message, in the order of the log.
void read_living(Files& files, const State& state, const std::function<void(const LivingMessage&)>& visit);
/// The same in the order of queues, which takes more reads.
void read_in_order(Files& files, const Recovered& recovered,
                   const std::function<void(const LivingMessage&)>& visit);

}  // namespace trilby::broker::journal
