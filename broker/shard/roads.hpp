// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "broker/ids/ids.hpp"
#include "broker/message/pool.hpp"
#include "broker/shard/mail.hpp"
#include "broker/shard/mailbox.hpp"
#include "broker/shard/settings.hpp"

namespace trilby::broker {

using Road = Mailbox<Mail>;

/// One shard's ends of the roads to and from all others: what travels, who is held up, who is to be woken.
/// For its own thread, but for `wake_if_asleep` and what others are asked about.
class Roads {
  public:
    Roads(ShardIndex index, std::size_t shards, const Settings& settings);
    Roads(const Roads&) = delete;
    Roads& operator=(const Roads&) = delete;

    /// Before the threads start: those of all shards in order, these among them.
    void connect(std::vector<Roads*> all);
    /// Before the threads start. `wake` may be called by any of them.
    void wake_by(std::function<void()> wake) { wake_ = std::move(wake); }
    /// After the threads have ended: what is under way to this shard is given up.
    void clear(MessagePool& messages);

    std::size_t shards() const { return outgoing_.size(); }

    // ---- Sending.

    /// Seen there when this turn has ended. `octets`: of a message that it carries. Throws std::bad_alloc
    /// with nothing changed.
    void send(ShardIndex there, const Mail& mail, std::uint64_t octets = 0) {
        outgoing_[there]->push(mail, octets);
    }
    /// What was sent last has found no room, and waits here.
    bool stalled(ShardIndex there) const { return outgoing_[there]->stalled(); }
    /// Whoever publishes to queues there has to pause: the road is full, or their disk is behind.
    bool hold_up(ShardIndex there) const { return stalled(there) || all_[there]->is_behind(); }
    bool some_stalled() const;
    /// Has anybody a reason to pause?
    bool some_hold_up() const;
    /// At the end of a turn: shows the others what was sent, and wakes who sleeps.
    void publish();

    // ---- Receiving.

    /// As Mailbox::drain, of the road from there.
    template <class F, class Enough>
    std::size_t drain(ShardIndex from, std::size_t limit, F accept, Enough enough) {
        return incoming_[from] == nullptr ? 0 : incoming_[from]->drain(limit, accept, enough);
    }
    bool come_from(ShardIndex other) const { return incoming_[other] != nullptr; }
    /// After drains that took something.
    void wake_who_waits();
    /// Has something come, or is there room again for what waits to be sent?
    bool has_mail() const;

    // ---- Sleep.

    /// True while the loop may sleep; set by it, taken by who wakes it.
    std::atomic<bool>& asleep() { return asleep_; }
    /// Any thread.
    void wake_if_asleep() {
        if (asleep_.load(std::memory_order_relaxed) && asleep_.exchange(false)) wake_();
    }

    // ---- The disk of the queues here.

    /// It does not keep up with what waits in them: seen by the others, who hold up their publishers.
    void set_behind() { behind_.store(true, std::memory_order_relaxed); }
    /// It does again: those who wait are woken.
    void caught_up();
    bool is_behind() const { return behind_.load(std::memory_order_relaxed); }

  private:
    const ShardIndex index_;
    std::function<void()> wake_;
    std::vector<Roads*> all_;
    std::vector<std::unique_ptr<Road>> outgoing_;  // by shard; none to itself
    std::vector<Road*> incoming_;
    alignas(64) std::atomic<bool> asleep_{false};
    alignas(64) std::atomic<bool> behind_{false};  // seldom written
};

}  // namespace trilby::broker
