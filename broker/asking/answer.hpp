// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "broker/ids/ids.hpp"
#include "broker/message/message.hpp"

namespace trilby::broker {

/// Whom an answer goes to, and the number under which it asked.
struct ReplyTo {
    AskerId asker{};  // 0: nobody waits
    std::uint32_t number = 0;
};

struct Answer {
    enum class Status : std::uint8_t {
        done,
        exists,          // declare: somebody else was first; the view has it by now
        gone,            // the queue has been deleted meanwhile
        no_source,       // bind: the source exchange does not exist
        no_destination,  // bind: the destination does not exist
        in_use,
        not_empty,
        in_exclusive_use,
        empty,       // basic.get
        not_stored,  // the disk did not take the change; nothing has changed
        failed,      // something was lacking: the one who asked is closed with 541
        no_room,     // there is no number left for it; nothing has changed
        too_much,    // declare and bind: what is declared takes as much memory as it may
    };
    Status status = Status::done;
    bool redelivered = false;
    ShardIndex home = 0;  // of the queue that answers: it may have moved since it was asked
    std::uint32_t messages = 0;
    std::uint32_t consumers = 0;
    Message* message = nullptr;  // with a reference, which goes when the asker has dealt with it
    EntryNumber entry = 0;
};

}  // namespace trilby::broker
