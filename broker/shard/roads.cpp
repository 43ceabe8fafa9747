// SPDX-License-Identifier: Apache-2.0
#include "broker/shard/roads.hpp"

#include <algorithm>

namespace trilby::broker {

Roads::Roads(ShardIndex index, std::size_t shards, const Settings& settings)
    : index_(index), outgoing_(shards), incoming_(shards) {
    for (std::size_t other = 0; other < shards; ++other)
        if (other != index)
            outgoing_[other] = std::make_unique<Road>(settings.mailbox_items, settings.mailbox_octets);
}

void Roads::connect(std::vector<Roads*> all) {
    all_ = std::move(all);
    for (Roads* other : all_)
        if (other != this) incoming_[other->index_] = other->outgoing_[index_].get();
}

void Roads::clear(MessagePool& messages) {
    for (Road* road : incoming_)
        while (road != nullptr && (road->publish() || road->has_mail()))
            road->drain(SIZE_MAX, [&](const Mail& mail) {
                if (mail.kind == Mail::Kind::letter) {
                    delete mail.letter();
                } else if (mail.block != nullptr) {
                    messages.release(mail.message());
                }
            });
}

bool Roads::some_stalled() const {
    return std::ranges::any_of(outgoing_,
                               [](const auto& road) { return road != nullptr && road->stalled(); });
}

bool Roads::some_hold_up() const {
    return some_stalled() || std::ranges::any_of(all_, [](const Roads* one) { return one->is_behind(); });
}

void Roads::publish() {
    std::uint64_t wake = 0;
    for (std::size_t other = 0; other < outgoing_.size(); ++other)
        if (outgoing_[other] != nullptr && outgoing_[other]->publish()) wake |= std::uint64_t{1} << other;
    if (wake == 0) return;
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (std::size_t other = 0; wake != 0; ++other, wake >>= 1)
        if (wake & 1) all_[other]->wake_if_asleep();
}

void Roads::wake_who_waits() {
    // What was taken must be seen by a sender that is about to sleep, or its wish must be seen here.
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (std::size_t other = 0; other < incoming_.size(); ++other)
        if (incoming_[other] != nullptr && incoming_[other]->sender_waits()) all_[other]->wake_if_asleep();
}

bool Roads::has_mail() const {
    return std::ranges::any_of(incoming_, [](Road* road) { return road != nullptr && road->has_mail(); }) ||
           std::ranges::any_of(outgoing_,
                               [](const auto& road) { return road != nullptr && road->room_for_waiting(); });
}

void Roads::caught_up() {
    if (!is_behind()) return;
    behind_.store(false, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);  // that first, then who sleeps
    for (Roads* other : all_)
        if (other != this) other->wake_if_asleep();
}

}  // namespace trilby::broker
