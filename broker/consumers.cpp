// SPDX-License-Identifier: Apache-2.0
#include "broker/consumers.hpp"

#include <algorithm>

namespace trilby::broker {

Consumer& Consumers::add(Consumer consumer) {
    const auto at = std::find_if(levels_.begin(), levels_.end(),
                                 [&](const Level& level) { return level.priority <= consumer.priority; });
    if (at == levels_.end() || at->priority != consumer.priority) {
        levels_.insert(at, Level{.priority = consumer.priority, .members = 1});
    } else {
        ++at->members;
    }
    const ConsumerId id = consumer.id;
    Consumer& added = *all_.emplace(id, std::make_unique<Consumer>(consumer)).first->second;
    review(added);
    return added;
}

void Consumers::remove(Consumer& consumer) {
    if (consumer.listed) unlist(consumer);
    Level& level = level_of(consumer);
    if (--level.members == 0) levels_.erase(levels_.begin() + (&level - levels_.data()));
    if (found_last_ == &consumer) found_last_ = nullptr;
    all_.erase(consumer.id);
}

Consumer* Consumers::find(ConsumerId id) {
    if (found_last_ != nullptr && found_last_->id == id) return found_last_;
    const auto found = all_.find(id);
    if (found == all_.end()) return nullptr;
    found_last_ = found->second.get();
    return found_last_;
}

Consumers::Level& Consumers::level_of(const Consumer& consumer) {
    return *std::find_if(levels_.begin(), levels_.end(),
                         [&](const Level& level) { return level.priority == consumer.priority; });
}

void Consumers::list(Consumer& consumer) {
    Level& level = level_of(consumer);
    consumer.previous = level.last;
    consumer.next = nullptr;
    (level.last == nullptr ? level.first : level.last->next) = &consumer;
    level.last = &consumer;
    consumer.listed = true;
}

void Consumers::unlist(Consumer& consumer) {
    Level& level = level_of(consumer);
    (consumer.previous == nullptr ? level.first : consumer.previous->next) = consumer.next;
    (consumer.next == nullptr ? level.last : consumer.next->previous) = consumer.previous;
    consumer.previous = consumer.next = nullptr;
    consumer.listed = false;
}

}  // namespace trilby::broker
