// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "routing/destination.hpp"
#include "routing/pattern_lists.hpp"
#include "routing/target.hpp"

namespace trilby::routing {

/// Gathers where one message goes: distinct queues, and the exchanges it is passed on to, each once. A stamp
/// for each queue, exchange and list tells what this message has met before, so nothing is searched or
/// sorted.
class Collector {
  public:
    explicit Collector(PatternLists& lists) : lists_(lists) {}

    /// Makes room for what bindings may name; a route itself never allocates.
    void know_queue(QueueIndex queue) {
        if (queue < queue_seen_.size()) return;
        queues_.resize(queue + 1);
        queue_seen_.resize(queue + 1);
    }
    void know_exchange(ExchangeIndex exchange) {
        if (exchange < exchange_seen_.size()) return;
        exchanges_.resize(exchange + 1);
        exchange_seen_.resize(exchange + 1);
    }

    /// Bindings that lead there are no longer matches, until it is known again.
    void leave_out(Destination destination) {
        if (destination.kind == Destination::Kind::queue) {
            queue_seen_[destination.index] = left_out;
        } else {
            exchange_seen_[destination.index] = left_out;
        }
    }
    void take_in(Destination destination) {
        (destination.kind == Destination::Kind::queue ? queue_seen_ : exchange_seen_)[destination.index] = 0;
    }

    void begin() {
        queue_count_ = exchange_count_ = exchanges_done_ = 0;
        matches_ = 0;
        if (++route_ == left_out) forget();
    }
    /// For a message that has come to this exchange already.
    void begin(ExchangeIndex first) {
        begin();
        exchange_seen_[first] = route_;
    }

    // Sinks of TopicWalk and HeaderIndex.
    void matched(const Target& leaf) {
        if (!leaf.is_list()) {
            ++matches_;
            add_queue(leaf.index());
        } else {
            add_list(leaf.index());
        }
    }
    void matched(PackedDestination destination, std::uint32_t) { add(destination); }

    void add_list(std::uint32_t index) {
        PatternList& list = lists_[index];
        if (list.seen == route_) return;
        list.seen = route_;
        matches_ += list.size();
        for (const auto& entry : list.entries()) {
            if (entry.destination.is_exchange()) {
                pass_on(entry.destination.index());
            } else {
                add_queue(entry.destination.index());
            }
        }
    }
    void add(PackedDestination destination) {
        ++matches_;
        if (destination.is_exchange()) {
            pass_on(destination.index());
        } else {
            add_queue(destination.index());
        }
    }

    /// The exchange will be given out by next_exchange, once in this route.
    void pass_on(ExchangeIndex exchange) {
        if (exchange_seen_[exchange] >= route_) {
            if (exchange_seen_[exchange] == left_out) --matches_;
            return;
        }
        exchange_seen_[exchange] = route_;
        exchanges_[exchange_count_++] = exchange;
    }
    bool more_exchanges() const { return exchanges_done_ < exchange_count_; }
    ExchangeIndex next_exchange() { return exchanges_[exchanges_done_++]; }
    std::uint32_t exchanges() const { return exchange_count_; }

    /// How often a binding matched so far, with some repetitions: unchanged means that an exchange led
    /// nowhere.
    std::uint64_t matches() const { return matches_; }

    std::span<const QueueIndex> queues() const { return {queues_.data(), queue_count_}; }

  private:
    void add_queue(QueueIndex queue) {
        if (queue_seen_[queue] >= route_) {
            if (queue_seen_[queue] == left_out) --matches_;
            return;
        }
        queue_seen_[queue] = route_;
        queues_[queue_count_++] = queue;
    }
    void forget() {
        for (auto* seen : {&queue_seen_, &exchange_seen_})
            std::ranges::replace_if(
                *seen, [](std::uint32_t each) { return each != left_out; }, 0U);
        lists_.forget_seen();
        route_ = 1;
    }

    static constexpr std::uint32_t left_out = 0xFFFF'FFFF;

    PatternLists& lists_;
    std::vector<std::uint32_t> queue_seen_, exchange_seen_;  // by index: the last route that met it
    std::vector<QueueIndex> queues_;                         // as large as queue_seen_
    std::vector<ExchangeIndex> exchanges_;
    std::uint32_t queue_count_ = 0, exchange_count_ = 0, exchanges_done_ = 0;
    std::uint64_t matches_ = 0;
    std::uint32_t route_ = 0;
};

}  // namespace trilby::routing
