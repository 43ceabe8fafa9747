// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "broker/message/message.hpp"

namespace trilby::broker {

/// What a queue keeps of a message: the message itself, or, when it is not in memory, its number in the
/// journal or its place in the spill file. 8 octets, for a queue may hold millions.
class Kept {
  public:
    Kept() = default;  // nothing
    explicit Kept(Message* message) : word_(reinterpret_cast<std::uintptr_t>(message)) {}
    /// A message of the journal: shard below 64, so the number has two bits to spare.
    static Kept stored(std::uint64_t id) { return Kept(id << tag_bits | in_journal); }
    static Kept spilled(std::uint64_t place) { return Kept(place << tag_bits | in_spill); }

    bool operator==(const Kept&) const = default;
    bool in_memory() const { return (word_ & tags) == 0; }
    bool is_spilled() const { return (word_ & tags) == in_spill; }
    /// Of one in memory.
    Message* message() const { return reinterpret_cast<Message*>(word_); }
    /// Of one in the spill file.
    std::uint64_t place() const { return word_ >> tag_bits; }
    /// Its number in the journal; 0: it is not there.
    std::uint64_t stored_id() const {
        if (in_memory()) return message()->stored;
        return (word_ & tags) == in_journal ? word_ >> tag_bits : 0;
    }

  private:
    static constexpr unsigned tag_bits = 2;
    static constexpr std::uint64_t tags = 3, in_journal = 1, in_spill = 2;
    explicit Kept(std::uint64_t word) : word_(word) {}

    std::uint64_t word_ = 0;
};
static_assert(sizeof(Kept) == 8 && alignof(Message) >= 4);

}  // namespace trilby::broker
