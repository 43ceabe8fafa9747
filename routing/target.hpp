// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "routing/destination.hpp"

namespace trilby::routing {

/// What an edge of the trie, or a key, leads to, in four bytes: nothing, one queue, a list of destinations,
/// or a node. A leaf of the trie is no node: the edge to it names the queue or the list. What stands in a
/// node is told by the edge too, so a walk looks at a node only when there is something in it for the key.
class Target {
  public:
    enum Flags : std::uint32_t {
        ends_here = 1,     // a pattern ends in the node
        ends_in_hash = 2,  // a pattern ends in `#` below the node
        wild = 4,          // the node has a `*` child or a `#` child with children
        edges_apart = 8,   // its literal children stand in the table of edges, not in the node
    };

    Target() = default;
    static Target queue(QueueIndex index) { return Target(leaf | index); }
    static Target list(std::uint32_t index) { return Target(leaf | in_list | index); }
    static Target node(std::uint32_t index, std::uint32_t flags) {
        return Target(node_bit | flags << payload_bits | index);
    }

    bool none() const { return bits_ == 0; }
    bool is_node() const { return (bits_ & node_bit) != 0; }
    bool is_list() const { return (bits_ & in_list) != 0; }  // of a leaf
    bool after_hash() const { return (bits_ & hash) != 0; }  // of a leaf: `#` stands before its end
    bool has(std::uint32_t flags) const { return (bits_ & flags << payload_bits) != 0; }  // of a node
    std::uint32_t index() const { return bits_ & payload_mask; }

    Target with_hash() const { return none() ? *this : Target(bits_ | hash); }
    Target without_hash() const { return none() ? *this : Target(bits_ & ~hash); }

    friend bool operator==(Target, Target) = default;

    static constexpr std::uint32_t payload_bits = 26;
    /// Queues, lists and nodes have numbers below.
    static constexpr std::uint32_t most = 1U << payload_bits;

  private:
    explicit Target(std::uint32_t bits) : bits_(bits) {}

    static constexpr std::uint32_t payload_mask = (1U << payload_bits) - 1;
    static constexpr std::uint32_t node_bit = 1U << 31;
    static constexpr std::uint32_t leaf = 1U << 30;
    static constexpr std::uint32_t in_list = 1U << 26;
    static constexpr std::uint32_t hash = 1U << 27;

    std::uint32_t bits_ = 0;
};

}  // namespace trilby::routing
