// SPDX-License-Identifier: Apache-2.0
#include "routing/topic_walk.hpp"

#include <algorithm>

namespace trilby::routing {

void TopicWalk::make_room(std::size_t coming) {
    if (trie_.nodes_.end() + coming <= room_) return;
    const std::size_t room = std::max<std::size_t>(64, (trie_.nodes_.end() + coming) * 2);
    auto now = std::make_unique<Target[]>(room);
    auto next = std::make_unique<Target[]>(room);
    auto behind_hash = std::make_unique_for_overwrite<std::uint32_t[]>(room);
    waiting_ = std::make_unique_for_overwrite<Waiting[]>(room);
    now_ = std::move(now);
    next_ = std::move(next);
    behind_hash_ = std::move(behind_hash);
    room_ = room;
}

void TopicWalk::forget_walks() {
    for (std::uint32_t index = 0; index < trie_.nodes_.end(); ++index) trie_.nodes_[index].active = 0;
    walk_ = 1;
}

struct TopicWalk::Keep {
    void matched(const Target& target) {
        if (start.matched_count == Start::room) {
            start.usable = false;
        } else {
            start.matched[start.matched_count++] = target;
        }
    }
    Start& start;
};

TopicWalk::Start TopicWalk::start_after(std::uint32_t root, std::string_view words) {
    Start start;
    start.usable = true;
    Keep keep{start};
    begin(root);
    WordCursor key(words);
    for (WordView word = key.next(); !key.done(); word = key.next())
        step(
            word, false, [] { return 0U; }, keep);
    if (now_count_ > Start::room || behind_hash_count_ > Start::room) {
        start.usable = false;
        return start;
    }
    std::copy_n(now_.get(), now_count_, start.nodes.begin());
    std::copy_n(behind_hash_.get(), behind_hash_count_, start.behind_hash.begin());
    start.node_count = static_cast<std::uint8_t>(now_count_);
    start.behind_hash_count = static_cast<std::uint8_t>(behind_hash_count_);
    start.words = words_;
    start.size = words.size();
    return start;
}

}  // namespace trilby::routing
