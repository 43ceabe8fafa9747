// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

#include "broker/ids/ids.hpp"

namespace trilby::broker {

class Receiver;

/// A consumer as its queue sees it, on the queue's home shard. Limits that are never mixed: `credit` is the
/// client's (prefetch, in messages not yet acknowledged), `window` is ours (octets under way to another
/// shard; without end on this one), `held` is the receiver's.
struct Consumer {
    static constexpr std::int64_t unlimited = std::int64_t{1} << 60;

    ConsumerId id{};
    Receiver* receiver = nullptr;  // whoever is handed its deliveries
    std::int64_t credit = unlimited;
    std::int64_t grants = 0;  // of a granted one: messages it may still take of the channel's limit
    std::int64_t window = 0;  // 0 until the connection has said consume-ok
    std::int32_t priority = 0;
    bool no_ack = false;
    bool granted = false;  // its channel has a limit of its own (qos global) and hands out shares of it
    bool asked = false;    // of a granted one: the channel knows that the queue has something
    bool held = false;     // the connection's output is full

    // Where it stands among the others; of Consumers.
    enum class Listed : std::uint8_t { nowhere, able, to_ask } listed = Listed::nowhere;
    Consumer* previous = nullptr;
    Consumer* next = nullptr;

    bool ready() const { return credit > 0 && window > 0 && !held; }
    bool available() const { return ready() && (!granted || grants > 0); }
    /// Could take a message if its channel gave it a share, and has not asked for one.
    bool may_ask() const { return granted && !asked && grants <= 0 && ready(); }
};

/// The consumers of one queue: by priority, and in turn among those of a priority that can take a message.
/// Nothing here takes longer because there are many of them, or many priorities.
class Consumers {
  public:
    Consumers() = default;
    Consumers(const Consumers&) = delete;
    Consumers& operator=(const Consumers&) = delete;

    /// Throws std::bad_alloc with nothing changed.
    Consumer& add(Consumer consumer);
    /// It may have been listed; it is gone afterwards.
    void remove(Consumer& consumer);
    Consumer* find(ConsumerId id);
    std::size_t size() const { return all_.size(); }
    /// Any of them; there must be one.
    Consumer& any() { return *all_.begin()->second; }

    /// Who is next to get a message; null if nobody can take one.
    Consumer* next() const { return first_line_->first; }
    /// Who has waited longest to ask its channel for a share; null if nobody does.
    Consumer* next_to_ask() const { return to_ask_.first; }
    std::size_t to_ask() const { return to_ask_.size; }

    /// After it got one, or after its limits changed: puts it at the end of its line, or out of it.
    void turn(Consumer& consumer) {
        if (consumer.listed == Consumer::Listed::able) {
            if (consumer.next == nullptr && consumer.previous == nullptr && consumer.available()) return;
            unlist(consumer);
            if (consumer.available()) return list(consumer);
        }
        review(consumer);
    }
    /// After its limits changed, without losing its place in line.
    void review(Consumer& consumer) {
        const auto wanted = consumer.available() ? Consumer::Listed::able
                            : consumer.may_ask() ? Consumer::Listed::to_ask
                                                 : Consumer::Listed::nowhere;
        if (consumer.listed == wanted) return;
        if (consumer.listed != Consumer::Listed::nowhere) unlist(consumer);
        if (wanted != Consumer::Listed::nowhere) list(consumer);
    }

  private:
    struct Line {
        Consumer* first = nullptr;
        Consumer* last = nullptr;
        std::size_t size = 0;
        void push_back(Consumer& consumer);
        void remove(Consumer& consumer);
    };
    /// The consumers of one priority.
    struct Level;
    struct HigherFirst {
        bool operator()(const Level* one, const Level* other) const {
            return one->priority > other->priority;
        }
    };
    using Levels = std::set<Level*, HigherFirst>;
    struct Level {
        std::int32_t priority = 0;
        std::size_t members = 0;
        Line line;                    // those that can take a message, in turn
        Levels::node_type node = {};  // for able_, while it is not in there
    };

    Level& level_of(const Consumer& consumer);
    void find_first_line() { first_line_ = able_.empty() ? &nobody_ : &(*able_.begin())->line; }
    /// Where its limits say.
    void list(Consumer& consumer);
    void unlist(Consumer& consumer);

    std::unordered_map<ConsumerId, std::unique_ptr<Consumer>> all_;
    Consumer* found_last_ = nullptr;
    std::map<std::int32_t, Level> levels_;  // by priority; with members
    Level* last_level_ = nullptr;           // that was looked for
    Levels able_;                           // whose line is not empty
    const Line nobody_{};
    const Line* first_line_ = &nobody_;  // of the first of them: asked for at every message
    Line to_ask_;
};

}  // namespace trilby::broker
