// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstdint>

namespace trilby::routing {

/// Dense and small, chosen by the caller, unique over all tables of a shard.
using QueueIndex = std::uint32_t;

/// Dense within a Table, used again after removal.
using ExchangeIndex = std::uint32_t;

enum class ExchangeType : std::uint8_t { direct, fanout, topic, headers };

struct Destination {
    enum class Kind : std::uint8_t { queue, exchange } kind = Kind::queue;
    std::uint32_t index = 0;

    friend bool operator==(const Destination&, const Destination&) = default;
};

/// A Destination in four bytes, as the lists of destinations keep it.
class PackedDestination {
  public:
    PackedDestination() = default;
    explicit PackedDestination(Destination destination)
        : bits_(destination.index | (destination.kind == Destination::Kind::exchange ? exchange_bit : 0)) {
        assert(destination.index < exchange_bit);  // Table has room for fewer
    }

    bool is_exchange() const { return (bits_ & exchange_bit) != 0; }
    std::uint32_t index() const { return bits_ & ~exchange_bit; }
    std::uint32_t bits() const { return bits_; }
    Destination unpack() const {
        return {is_exchange() ? Destination::Kind::exchange : Destination::Kind::queue, index()};
    }

    friend bool operator==(PackedDestination, PackedDestination) = default;

  private:
    static constexpr std::uint32_t exchange_bit = 0x8000'0000;
    std::uint32_t bits_ = 0;
};

}  // namespace trilby::routing
