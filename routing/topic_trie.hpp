// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <vector>

#include "routing/flat_table.hpp"
#include "routing/hash.hpp"
#include "routing/slab.hpp"
#include "routing/target.hpp"
#include "routing/topic_pattern.hpp"
#include "routing/word_table.hpp"

namespace trilby::routing {

/// The topic patterns that have wildcards, of all exchanges of a Table: one root for each exchange.
///
///     root ── "org" ── "fedoraproject" ── * ── "bodhi" ──▶ leaf (…bodhi.#)
///       └──── # ────── "buildsys" ── "tag" ──▶ leaf (#.buildsys.tag)
///
/// Edges are literal words, one `*` and one `#` for each node. A leaf is no node: the edge says where it
/// leads and whether a `#` stands before the end. Only a node that goes on is 64 bytes.
class TopicTrie {
  public:
    std::uint32_t add_root();
    void remove_root(std::uint32_t root);  ///< which has no patterns left

    /// Before a pattern comes: room for all that it takes, so that no change stops half-way.
    void make_room(std::span<const TopicPattern::Word> pattern);
    /// What the pattern leads to from now on: a queue, a list, or none to take the pattern out. Needs no
    /// memory if there was room made for it, or if it is there.
    void assign(std::uint32_t root, std::span<const TopicPattern::Word> pattern, Target leads_to);

    /// Does one pattern more fit, however long it is? A node's number has to fit into a Target.
    bool has_room() const { return nodes_.size() + most_words < Target::most; }

    std::size_t nodes() const { return nodes_.size(); }
    /// At most so many come with a pattern, its root apart.
    static std::size_t nodes_for(std::size_t words) { return 2 * words + 1; }
    std::size_t words() const { return words_.size(); }

  private:
    friend class TopicWalk;

    static constexpr std::size_t most_words = 256;  // of a pattern, and more than a short string can have
    static constexpr std::uint32_t inline_children = 5;
    static const inline Target no_target{};
    static constexpr std::uint32_t in_edges = 0x8000'0000;

    /// Where it is of use to look behind a `#`: bit n, before the last n words of a key; the highest bit also
    /// for more. `anywhere` alone: patterns go on to another `#`. Never too few bits.
    using Lengths = std::uint64_t;
    static constexpr std::uint32_t longest = 63;
    static constexpr Lengths anywhere = 1;
    static Lengths lengths_of(std::span<const TopicPattern::Word> behind_hash);

    struct alignas(64) Node {
        Target terminal;       // of patterns that end here
        Target hash_terminal;  // of patterns that end in `#` below here
        Target star;
        std::uint32_t hash_node = 0;  // what follows a `#` here: a node with literal children only; 0 is none
        std::uint32_t active = 0;     // of such a node: the last walk that came to it
        std::uint32_t children = 0;   // literal ones; with in_edges once they went to edges_
        std::array<WordId, inline_children> words{};
        std::array<Target, inline_children> targets{};

        // A node behind a `#` has no terminals, star or hash_node, and something else in their places.
        Lengths lengths() const { return std::bit_cast<Lengths>(std::array{terminal, hash_terminal}); }
        void add_lengths(Lengths more) {
            const auto both = std::bit_cast<std::array<Target, 2>>(lengths() | more);
            terminal = both[0];
            hash_terminal = both[1];
        }
    };
    static_assert(sizeof(Node) == 64);

    struct Edge {
        std::uint32_t node = 0;  // never 0 in use
        WordId word = 0;
        Target target;

        bool vacant() const { return node == 0; }
        static std::uint32_t hash(std::uint32_t node, WordId word) {
            return static_cast<std::uint32_t>(
                fold((std::uint64_t{node} << 32 | word) ^ hash_secret[6], hash_secret[7]));
        }
        std::uint32_t home() const { return hash(node, word); }
    };

    // A child by a literal word, none if there is none. By reference, for a place in the trie is one
    // pattern's.
    const Target& literal(std::uint32_t index, const Node& node, WordId word) const {
        return (node.children & in_edges) != 0 ? edge(index, word) : inline_child(node, word);
    }
    static const Target& inline_child(const Node& node, WordId word) {
        const Target* found = &no_target;
        for (std::uint32_t i = 0; i < inline_children; ++i) {
            if (node.words[i] == word) found = &node.targets[i];
        }
        return *found;
    }
    const Target& edge(std::uint32_t index, WordId word) const {
        const Edge* found = edges_.find(Edge::hash(index, word), [&](const Edge& each) {
            return each.node == index && each.word == word;
        });
        return found ? found->target : no_target;
    }

    using Words = std::span<const TopicPattern::Word>;
    Target assign_edge(Target at, Words rest, Target leads_to);
    void assign_node(std::uint32_t index, Words rest, Target leads_to);
    void assign_literal(std::uint32_t index, Words rest, Target leads_to);
    void put_child(std::uint32_t index, WordId word, Target target);
    void change_child(std::uint32_t index, WordId word, Target target);
    void remove_child(std::uint32_t index, WordId word);
    WordId intern(const TopicPattern::Word& word);
    void forget_unused_words(Words pattern);
    Target compact(std::uint32_t index);
    std::uint32_t add_node();

    Slab<Node> nodes_;
    FlatTable<Edge> edges_;  // children of nodes with more than inline_children
    WordTable words_;
};

}  // namespace trilby::routing
