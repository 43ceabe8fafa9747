// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include "routing/topic_key.hpp"
#include "routing/topic_trie.hpp"

namespace trilby::routing {

/// Walks a trie by the words of a key, all alternatives side by side, and hands the target of each pattern
/// that matches to `sink.matched(const Target&)`, perhaps several times.
///
/// Before each word the walk has two sets of nodes: those that the words so far lead to, each at most once
/// for it has one parent; and the nodes behind a `#`, which stay once they are reached. A node behind a `#`
/// is entered at most once in a walk, so a key of n words costs at most n visits of each node, whatever the
/// patterns. And it is looked at only before the last so many words that are behind the `#` in one of its
/// patterns, so these cost the walk no more than there are of them; only what stands between two `#` is
/// looked for before every word.
class TopicWalk {
  public:
    /// The state of a walk between two words, small enough to be kept.
    struct Start {
        static constexpr std::size_t room = 24;
        std::array<Target, room> nodes, matched;
        std::array<std::uint32_t, room> behind_hash;
        std::uint8_t node_count = 0, matched_count = 0, behind_hash_count = 0;
        std::uint32_t words = 0;
        std::size_t size = 0;  // of the part of a key that was walked, with the dot behind it
        bool usable = false;   // there was room for it all
    };

    explicit TopicWalk(TopicTrie& trie) : trie_(trie) {}

    /// To be called before so many nodes are added: the walk itself never allocates.
    void make_room(std::size_t coming);

    template <class Sink>
    void run(std::uint32_t root, std::string_view key, Sink& sink) {
        begin(root);
        go_on(WordCursor(key), sink);
    }

    /// `key` begins with what `start` was made from.
    template <class Sink>
    void run(const Start& start, std::string_view key, Sink& sink) {
        for (std::size_t i = 0; i < start.matched_count; ++i) sink.matched(start.matched[i]);
        for (std::size_t i = 0; i < start.node_count; ++i) now_[i] = start.nodes[i];
        now_count_ = start.node_count;
        words_ = start.words;
        next_walk();
        const WordCursor rest(key, start.size);
        for (std::size_t i = 0; i < start.behind_hash_count; ++i)
            enter_behind_hash(start.behind_hash[i], [&] { return rest.left(); });
        go_on(rest, sink);
    }

    /// Looks at nodes since the last call, for who counts what a publish costs.
    std::uint64_t take_steps() { return std::exchange(steps_, 0); }

    /// `words` ends with a dot; more words follow, the first of which may be empty.
    Start start_after(std::uint32_t root, std::string_view words);

  private:
    using Node = TopicTrie::Node;
    using Lengths = TopicTrie::Lengths;
    struct Keep;
    struct Waiting {
        Lengths lengths;  // at which it is still to be looked at
        std::uint32_t node;
        std::uint32_t next;
    };

    void next_walk() {
        if (++walk_ == 0) forget_walks();
        behind_hash_count_ = waiting_count_ = expected_ = 0;
        all_words_ = 0;
    }
    void forget_walks();

    void begin(std::uint32_t root) {
        next_walk();
        now_[0] = Target::node(
            root, Target::ends_here | Target::ends_in_hash | Target::wild |
                      ((trie_.nodes_[root].children & TopicTrie::in_edges) != 0 ? Target::edges_apart : 0U));
        now_count_ = 1;
        words_ = 0;
    }

    template <class Sink>
    void go_on(WordCursor key, Sink& sink) {
        while (!key.done()) {
            if (now_count_ == 0 && behind_hash_count_ == 0 && expected_ == 0) return;
            const WordView word = key.next();
            step(
                word, key.done(), [&] { return 1 + key.left(); }, sink);
        }
        finish(sink);
    }

    template <class Sink>
    void finish(Sink& sink) {
        for (std::uint32_t i = 0; i < now_count_; ++i) {
            const Target at = now_[i];
            if (!at.has(Target::ends_here | Target::ends_in_hash)) continue;
            const Node& node = trie_.nodes_[at.index()];
            if (!node.hash_terminal.none()) sink.matched(node.hash_terminal);
            if (!node.terminal.none()) sink.matched(node.terminal);
        }
    }

    /// `left`: how many words are left, this one among them; 0 if that is not known.
    template <class Left, class Sink>
    void step(const WordView& view, bool last, Left left, Sink& sink) {
        const auto found = trie_.words_.find(view);
        const bool may_stand_here = (found.depths & (WordTable::depth(words_) | WordTable::floating)) != 0;
        const WordId word = may_stand_here ? found.id : 0;
        std::uint32_t next_count = 0;
        Target* const next = next_.get();
        const auto take = [&](const Target& target) {
            if (target.none()) return;
            if (!target.is_node()) {
                if (last || target.after_hash()) sink.matched(target);
                return;
            }
            if (last && !target.has(Target::ends_here | Target::ends_in_hash)) return;
            trie_.nodes_.prefetch(target.index());
            next[next_count++] = target;
        };
        for (std::uint32_t i = 0; i < now_count_; ++i) {
            const Target at = now_[i];
            if (at.has(Target::ends_in_hash | Target::wild)) {
                const Node& node = trie_.nodes_[at.index()];
                if (!node.hash_terminal.none()) sink.matched(node.hash_terminal);
                take(node.star);
                if (node.hash_node != 0) enter_behind_hash(node.hash_node, left);
            }
            if (word == 0) continue;
            take(at.has(Target::edges_apart) ? trie_.edge(at.index(), word)
                                             : trie_.inline_child(trie_.nodes_[at.index()], word));
        }
        if (word != 0 && (found.depths & WordTable::floating) != 0) {
            for (std::uint32_t i = 0; i < behind_hash_count_; ++i) {
                const std::uint32_t index = behind_hash_[i];
                take(trie_.literal(index, trie_.nodes_[index], word));
            }
        }
        steps_ += now_count_ + behind_hash_count_;
        if (expected_ != 0) look_at_expected((found.depths & WordTable::floating) != 0 ? word : 0, take);
        std::swap(now_, next_);
        now_count_ = next_count;
        ++words_;
    }

    /// From this word on.
    template <class Left>
    void enter_behind_hash(std::uint32_t index, Left left) {
        Node& node = trie_.nodes_[index];
        if (node.active == walk_) return;
        node.active = walk_;
        const Lengths lengths = node.lengths();
        if (all_words_ == 0 && (lengths & TopicTrie::anywhere) == 0) {
            const std::uint32_t words = left();
            if (words != 0) all_words_ = words_ + words;
        }
        if (all_words_ == 0 || (lengths & TopicTrie::anywhere) != 0) {
            behind_hash_[behind_hash_count_++] = index;
        } else {
            Waiting& waiting = waiting_[waiting_count_++];
            waiting.lengths = lengths;
            waiting.node = index;
            expect(waiting, all_words_ - words_);
        }
    }

    /// With so many words left, and from then on.
    void expect(Waiting& waiting, std::uint32_t left) {
        if (left < TopicTrie::longest) waiting.lengths &= (Lengths{2} << left) - 1;
        if (waiting.lengths == 0) return;
        const auto length = static_cast<std::size_t>(63 - std::countl_zero(waiting.lengths));
        waiting.next = expected_at_[length];
        expected_at_[length] = static_cast<std::uint32_t>(&waiting - waiting_.get()) + 1;
        ++expected_;
    }

    /// Those that are expected to match from this word on.
    template <class Take>
    void look_at_expected(WordId word, Take take) {
        const std::uint32_t left = all_words_ - words_;
        std::uint32_t& first = expected_at_[std::min(left, TopicTrie::longest)];
        for (std::uint32_t at = std::exchange(first, 0); at != 0; ++steps_, --expected_) {
            Waiting& waiting = waiting_[at - 1];
            at = waiting.next;
            if (word != 0) take(trie_.literal(waiting.node, trie_.nodes_[waiting.node], word));
            expect(waiting, left - 1);
        }
    }

    TopicTrie& trie_;
    std::size_t room_ = 0;  // of the arrays: as many as there are nodes, which no walk can exceed
    std::unique_ptr<Target[]> now_, next_;
    std::unique_ptr<std::uint32_t[]> behind_hash_;  // those to be looked at before every word
    std::unique_ptr<Waiting[]> waiting_;            // the others, in lists by the number of words left
    std::array<std::uint32_t, TopicTrie::longest + 1> expected_at_{};  // the lists: 1 + the first, 0 if none
    std::uint32_t now_count_ = 0, behind_hash_count_ = 0, waiting_count_ = 0;
    std::uint32_t expected_ = 0;   // in the lists
    std::uint32_t words_ = 0;      // taken from the key so far
    std::uint32_t all_words_ = 0;  // of the key; 0: not counted, or not known
    std::uint64_t steps_ = 0;
    std::uint32_t walk_ = 0;
};

}  // namespace trilby::routing
