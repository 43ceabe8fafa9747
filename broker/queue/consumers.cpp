// SPDX-License-Identifier: Apache-2.0
#include "broker/queue/consumers.hpp"

#include <utility>

#include "protocol/room.hpp"

namespace trilby::broker {

Consumer& Consumers::add(Consumer consumer) {
    const auto [at, fresh] = levels_.try_emplace(consumer.priority);
    Level& level = at->second;
    Undo nobody([&, place = at] {
        if (level.members == 0) levels_.erase(place);
    });
    if (fresh) {
        level.priority = consumer.priority;
        level.node = able_.extract(able_.insert(&level).first);
    }
    const ConsumerId id = consumer.id;
    Consumer& added = *all_.emplace(id, std::make_unique<Consumer>(consumer)).first->second;
    ++level.members;
    nobody.keep();
    review(added);
    return added;
}

void Consumers::remove(Consumer& consumer) {
    if (consumer.listed != Consumer::Listed::nowhere) unlist(consumer);
    if (Level& level = level_of(consumer); --level.members == 0) {
        last_level_ = nullptr;
        levels_.erase(consumer.priority);
    }
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
    if (last_level_ == nullptr || last_level_->priority != consumer.priority)
        last_level_ = &levels_.find(consumer.priority)->second;
    return *last_level_;
}

void Consumers::list(Consumer& consumer) {
    if (!consumer.available()) {
        consumer.listed = Consumer::Listed::to_ask;
        return to_ask_.push_back(consumer);
    }
    consumer.listed = Consumer::Listed::able;
    Level& level = level_of(consumer);
    if (level.line.size == 0) {
        able_.insert(std::move(level.node));
        find_first_line();
    }
    level.line.push_back(consumer);
}

void Consumers::unlist(Consumer& consumer) {
    if (std::exchange(consumer.listed, Consumer::Listed::nowhere) == Consumer::Listed::to_ask)
        return to_ask_.remove(consumer);
    Level& level = level_of(consumer);
    level.line.remove(consumer);
    if (level.line.size != 0) return;
    level.node = able_.extract(&level);
    find_first_line();
}

void Consumers::Line::push_back(Consumer& consumer) {
    consumer.previous = last;
    consumer.next = nullptr;
    (last == nullptr ? first : last->next) = &consumer;
    last = &consumer;
    ++size;
}

void Consumers::Line::remove(Consumer& consumer) {
    (consumer.previous == nullptr ? first : consumer.previous->next) = consumer.next;
    (consumer.next == nullptr ? last : consumer.next->previous) = consumer.previous;
    consumer.previous = consumer.next = nullptr;
    --size;
}

}  // namespace trilby::broker
