// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <variant>

#include "broker/ids/ids.hpp"
#include "broker/message/held.hpp"

namespace trilby::broker {

/// Whom an answer goes to, and the number under which it asked.
struct ReplyTo {
    AskerId asker{};  // 0: nobody waits
    std::uint32_t number = 0;
};

/// Why something was not done. Nothing has changed then.
enum class Refusal : std::uint8_t {
    exists,          // declare: somebody else was first; the view has it by now
    gone,            // the queue has been deleted meanwhile; who awaits a direct reply is not there
    no_source,       // bind: the source exchange does not exist
    no_destination,  // bind: the destination does not exist
    in_use,
    not_empty,
    in_exclusive_use,
    empty,       // basic.get
    not_stored,  // the disk did not take the change
    failed,      // something was lacking: the one who asked is closed with 541
    no_room,     // there is no number left for it
    too_much,    // declare and bind: what is declared takes as much memory as it may
};

/// One for each question, and what any of them may be refused with.
namespace answer {
/// By the catalog, the disk that has settles, a cancelled consumer's queue, who took a direct reply.
struct Done {};
/// By the disk, that has what was published when it was asked.
struct Safe {};
struct Refused {
    Refusal why;
};
struct Counted {
    std::uint32_t messages;
    std::uint32_t consumers;
};
struct Purged {
    std::uint32_t messages;
};
struct Deleted {
    std::uint32_t messages;
};
struct Subscribed {
    ShardIndex home;  // of the queue, which may have moved since it was asked
};
struct Got {
    Held message;
    EntryNumber entry;
    bool redelivered;
    std::uint32_t left;  // ready, behind it
    ShardIndex home;     // of the queue
};
}  // namespace answer
using Answer = std::variant<answer::Done, answer::Safe, answer::Refused, answer::Counted, answer::Purged,
                            answer::Deleted, answer::Subscribed, answer::Got>;

inline bool is_refused(const Answer& given) {
    return std::holds_alternative<answer::Refused>(given);
}
inline bool is_refused(const Answer& given, Refusal why) {
    const auto* refused = std::get_if<answer::Refused>(&given);
    return refused != nullptr && refused->why == why;
}

}  // namespace trilby::broker
