// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <unordered_map>
#include <vector>

#include "broker/ids.hpp"

namespace trilby::broker {

struct Origin;

/// A consumer as its queue sees it, on the queue's home shard. Two limits, never mixed: `credit` is the
/// client's (prefetch, in messages not yet acknowledged), `window` is ours (octets handed over and not yet
/// written).
struct Consumer {
    static constexpr std::int64_t unlimited = std::int64_t{1} << 60;

    ConsumerId id{};
    Origin* near = nullptr;  // its end at the connection, if that lives on this shard
    std::int64_t credit = unlimited;
    std::int64_t grants = 0;  // of a granted one: messages it may still take of the channel's limit
    std::int64_t window = 0;  // 0 until the connection has said consume-ok
    std::int32_t priority = 0;
    bool no_ack = false;
    bool granted = false;  // its channel has a limit of its own (qos global) and hands out shares of it
    bool asked = false;    // of a granted one: the channel knows that the queue has something
    bool held = false;     // the connection's output is full

    // The list of those that can take a message, in turn; of consumers.cpp.
    bool listed = false;
    Consumer* previous = nullptr;
    Consumer* next = nullptr;

    bool ready() const { return credit > 0 && window > 0 && !held; }
    bool available() const { return ready() && (!granted || grants > 0); }
};

/// The consumers of one queue: by priority, and in turn among those of a priority that can take a message.
class Consumers {
  public:
    Consumer& add(Consumer consumer);
    /// It may have been listed; it is gone afterwards.
    void remove(Consumer& consumer);
    Consumer* find(ConsumerId id);
    std::size_t size() const { return all_.size(); }
    template <class F>
    void each(F visit) {
        for (auto& [id, consumer] : all_) visit(*consumer);
    }

    /// Who is next to get a message; null if nobody can take one.
    Consumer* next() const {
        for (const Level& level : levels_)
            if (level.first != nullptr) return level.first;
        return nullptr;
    }
    /// After it got one, or after its limits changed: puts it at the end of its line, or out of it.
    void turn(Consumer& consumer) {
        if (consumer.listed) {
            if (consumer.next == nullptr && consumer.previous == nullptr && consumer.available()) return;
            unlist(consumer);
        }
        if (consumer.available()) list(consumer);
    }
    /// After its limits changed, without losing its place in line.
    void review(Consumer& consumer) {
        if (consumer.listed != consumer.available()) turn(consumer);
    }

  private:
    struct Level {
        std::int32_t priority;
        Consumer* first = nullptr;
        Consumer* last = nullptr;
        std::size_t members = 0;
    };
    Level& level_of(const Consumer& consumer);
    void list(Consumer& consumer);
    void unlist(Consumer& consumer);

    std::unordered_map<ConsumerId, std::unique_ptr<Consumer>> all_;
    Consumer* found_last_ = nullptr;
    std::vector<Level> levels_;  // highest priority first
};

}  // namespace trilby::broker
