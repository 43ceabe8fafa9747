// SPDX-License-Identifier: Apache-2.0
#include "routing/topic_trie.hpp"

#include <algorithm>
#include <cassert>

#include "protocol/room.hpp"

namespace trilby::routing {

using Kind = TopicPattern::Word::Kind;

std::uint32_t TopicTrie::add_node() {
    if (nodes_.end() == 0) nodes_.add();  // node 0 stands for none
    return nodes_.add();
}

std::uint32_t TopicTrie::add_root() {
    return add_node();
}

void TopicTrie::remove_root(std::uint32_t root) {
    nodes_.remove(root);
}

void TopicTrie::assign(std::uint32_t root, Words pattern, Target leads_to) {
    assign_node(root, pattern, leads_to);
    if (leads_to.none()) forget_unused_words(pattern);
}

void TopicTrie::make_room(Words pattern) {
    // A node for each word, and one more behind each `#`. Only one of those that are there can get a child
    // too many, for the others are new.
    nodes_.reserve(nodes_for(pattern.size()));
    edges_.reserve(inline_children + 1);
    Undo no_words([&] { forget_unused_words(pattern); });
    for (const auto& word : pattern)
        if (word.kind == Kind::literal) intern(word);
    no_words.keep();
}

WordId TopicTrie::intern(const TopicPattern::Word& word) {
    return words_.intern(word.view,
                         word.floating ? WordTable::floating : WordTable::depth(word.words_before));
}

void TopicTrie::forget_unused_words(Words pattern) {
    for (const auto& word : pattern)
        if (word.kind == Kind::literal) words_.forget_if_unused(word.view);
}

TopicTrie::Lengths TopicTrie::lengths_of(Words behind_hash) {
    for (const auto& word : behind_hash)
        if (word.kind == Kind::hash) return anywhere;
    return Lengths{1} << std::min<std::size_t>(behind_hash.size(), longest);
}

/// `at` is what the edge leads to; returns what it leads to once the rest of the pattern is assigned.
Target TopicTrie::assign_edge(Target at, Words rest, Target leads_to) {
    if (!at.is_node()) {
        if (rest.empty() && !at.after_hash()) return leads_to;
        if (rest.size() == 1 && rest[0].kind == Kind::hash && (at.none() || at.after_hash())) {
            return leads_to.with_hash();
        }
        const std::uint32_t index = add_node();
        Node& node = nodes_[index];
        (at.after_hash() ? node.hash_terminal : node.terminal) = at.without_hash();
        at = Target::node(index, 0);
    }
    assign_node(at.index(), rest, leads_to);
    return compact(at.index());
}

void TopicTrie::assign_node(std::uint32_t index, Words rest, Target leads_to) {
    Node& node = nodes_[index];
    if (rest.empty()) {
        node.terminal = leads_to;
        return;
    }
    switch (rest[0].kind) {
        case Kind::star: node.star = assign_edge(node.star, rest.subspan(1), leads_to); break;
        case Kind::literal: assign_literal(index, rest, leads_to); break;
        case Kind::hash:
            if (rest.size() == 1) {
                node.hash_terminal = leads_to;
                break;
            }
            if (node.hash_node == 0) node.hash_node = add_node();
            if (!leads_to.none()) nodes_[node.hash_node].add_lengths(lengths_of(rest.subspan(1)));
            assign_literal(node.hash_node, rest.subspan(1), leads_to);
            if ((nodes_[node.hash_node].children & ~in_edges) == 0) {
                nodes_.remove(node.hash_node);
                node.hash_node = 0;
            }
            break;
    }
}

void TopicTrie::assign_literal(std::uint32_t index, Words rest, Target leads_to) {
    const auto& word = rest[0];
    const WordId id = intern(word);
    const Target before = literal(index, nodes_[index], id);
    const Target after = assign_edge(before, rest.subspan(1), leads_to);
    if (before == after) return;
    if (before.none()) {
        words_.use(id);
        put_child(index, id, after);
    } else if (after.none()) {
        words_.stop_using(id);
        remove_child(index, id);
    } else {
        change_child(index, id, after);
    }
}

void TopicTrie::put_child(std::uint32_t index, WordId word, Target target) {
    Node& node = nodes_[index];
    if (node.children < inline_children) {
        node.words[node.children] = word;
        node.targets[node.children] = target;
        ++node.children;
        return;
    }
    if (node.children == inline_children) {
        for (std::uint32_t i = 0; i < inline_children; ++i)
            edges_.insert({index, node.words[i], node.targets[i]});
        node.words = {};
        node.targets = {};
        node.children |= in_edges;
    }
    edges_.insert({index, word, target});
    ++node.children;
}

void TopicTrie::change_child(std::uint32_t index, WordId word, Target target) {
    Node& node = nodes_[index];
    if ((node.children & in_edges) != 0) {
        edges_
            .find(Edge::hash(index, word),
                  [&](const Edge& each) { return each.node == index && each.word == word; })
            ->target = target;
        return;
    }
    for (std::uint32_t i = 0; i < node.children; ++i) {
        if (node.words[i] == word) node.targets[i] = target;
    }
}

void TopicTrie::remove_child(std::uint32_t index, WordId word) {
    Node& node = nodes_[index];
    if ((node.children & in_edges) != 0) {
        edges_.erase(edges_.find(Edge::hash(index, word),
                                 [&](const Edge& each) { return each.node == index && each.word == word; }));
        if (--node.children == in_edges) node.children = 0;
        return;
    }
    const auto last = --node.children;
    for (std::uint32_t i = 0; i < last; ++i) {
        if (node.words[i] != word) continue;
        node.words[i] = node.words[last];
        node.targets[i] = node.targets[last];
    }
    node.words[last] = 0;
    node.targets[last] = Target();
}

/// What an edge to this node has to be: the node is given back when it says no more than a leaf can.
Target TopicTrie::compact(std::uint32_t index) {
    const Node& node = nodes_[index];
    if (node.children == 0 && node.star.none() && node.hash_node == 0 &&
        (node.terminal.none() || node.hash_terminal.none())) {
        const Target leaf = node.terminal.none() ? node.hash_terminal.with_hash() : node.terminal;
        nodes_.remove(index);
        return leaf;
    }
    std::uint32_t flags = 0;
    if (!node.terminal.none()) flags |= Target::ends_here;
    if (!node.hash_terminal.none()) flags |= Target::ends_in_hash;
    if (!node.star.none() || node.hash_node != 0) flags |= Target::wild;
    if ((node.children & in_edges) != 0) flags |= Target::edges_apart;
    return Target::node(index, flags);
}

}  // namespace trilby::routing
