// SPDX-License-Identifier: Apache-2.0
#include "broker/catalog/catalog.hpp"

#include <algorithm>
#include <bit>
#include <iterator>

#include <spdlog/spdlog.h>

#include "broker/catalog/store.hpp"
#include "protocol/quoted.hpp"
#include "protocol/room.hpp"

namespace trilby::broker {

namespace {

/// So many requests are decided, stored and told at once.
constexpr std::size_t most_together = 1000;

/// Such a change needs no memory. If a decision has several, all are such, and else there is only one.
bool takes_away(const Change& change) {
    return std::holds_alternative<change::DeleteExchange>(change) ||
           std::holds_alternative<change::DeleteQueue>(change) ||
           std::holds_alternative<change::Unbind>(change);
}

}  // namespace

void Catalog::submit(CatalogRequest&& request, ReplyTo reply_to) {
    pending_.emplace_back();
    pending_.back() = {std::move(request), reply_to};
}

void Catalog::store_in(CatalogStore& store) {
    store_ = &store;
    numbers_.begin_behind(store.last_queue_id());
}

bool Catalog::work() {
    const bool some = has_work();
    if (untold_ != 0) go_on_telling();
    if (answering_) answer_all();
    while (goes_on()) {
        if (under_way_ || !failed_) {
            if (!gather()) break;
            if (!std::exchange(stored_, false)) store();
        }
        if (failed_) take_back();
        if (changes_->empty()) {
            answer_all();
        } else {
            busy_ = true;
            tell();
        }
        if (home_.turn.is_over()) break;
    }
    return some;
}

bool Catalog::gather() {
    if (!under_way_) {
        changes_ = std::make_shared<ChangeSet>();
        answers_.reserve(most_together);  // what was carried out is answered
        carried_out_ = applied_ = 0;
        new_home_.reset();
        under_way_ = true;
    }
    bool more = !stored_;  // else it is told as it was stored
    while (more && !pending_.empty()) {
        const Decided decided = decide_next();
        if (decided == Decided::not_in_this_turn && answers_.empty()) return false;
        if (decided != Decided::yes) break;
        if (!carry_out()) {
            // Everybody here sees some of it from now on.
            store();
            stored_ = !failed_;
            if (stored_) return false;
            while (!carry_out()) {
            }
            break;
        }
        more = answers_.size() != most_together && !home_.turn.is_over();
    }
    if (stored_ && !carry_out()) return false;
    under_way_ = false;
    return true;
}

Catalog::Decided Catalog::decide_next() {
    Pending& next = pending_.front();
    if (const auto* asked = std::get_if<request::DeclareQueue>(&next.request);
        asked != nullptr && asked->queue.home != home_.shard) {
        // One home is told first, so the queues of another one wait for the next time.
        if (new_home_ && *new_home_ != asked->queue.home) return Decided::not_with_these;
        new_home_ = asked->queue.home;
    }
    home_.turn.spend(Turn::change);
    Answer answer = answer::Refused{Refusal::failed};
    try {
        if (!deciding_) deciding_.emplace(decide(next));
        if (deciding_->cascade && !deciding_->cascade->go_on(deciding_->changes, home_.turn))
            return Decided::not_in_this_turn;
        // What is stored in several turns is stored alone.
        if (deciding_->changes.size() > most_together && !answers_.empty()) return Decided::not_with_these;
        if (!take(*deciding_)) return Decided::not_in_this_turn;
        answer = std::move(deciding_->answer);
        deciding_.reset();
    } catch (const std::exception& error) {
        deciding_.reset();
        spdlog::error("the catalog cannot decide on a request: {}", error.what());
        if (!can_be_refused(next.request)) {  // it is tried again
            if (answers_.empty()) throw;
            return Decided::not_with_these;
        }
    }
    answers_.emplace_back(next.reply_to, std::move(answer));
    pending_.pop_front();
    return Decided::yes;
}

Catalog::Decision Catalog::decide(Pending& asked) {
    return std::visit([this](auto& request) { return decide(request); }, asked.request);
}

bool Catalog::take(Decision& decision) {
    ChangeSet& changes = decision.changes;
    if (changes.empty()) return true;
    if (decision.staged == 0) prepare(changes);
    while (decision.staged != changes.size()) {
        stage(changes[decision.staged++]);
        if (answers_.empty() && decision.staged != changes.size() && home_.turn.is_over()) return false;
    }
    if (const auto* queue = std::get_if<change::DeleteQueue>(&changes.front())) numbers_.give_back(queue->id);
    if (changes_->empty()) {
        changes_->swap(changes);
    } else {
        std::ranges::move(changes, std::back_inserter(*changes_));
    }
    return true;
}

void Catalog::prepare(const ChangeSet& changes) {
    Undo unused([&] {
        if (const auto* queue = std::get_if<change::DeclareQueue>(&changes.front()))
            numbers_.give_back(queue->id);
    });
    if (!changes_->empty()) make_room(*changes_, changes_->size() + changes.size());
    // What comes may be too much for the view, and may have to be taken back. What goes is known to the view
    // until it is carried out.
    if (!takes_away(changes.front())) {
        make_room(back_, changes_->size() + changes.size());
        std::size_t applied = 0;
        home_.audience.apply(changes, applied);  // all of it: there is nothing to be tidied after it
        carried_out_ += changes.size();
    }
    unused.keep();
}

bool Catalog::carry_out() {
    const std::span<const Change> changes = std::span(*changes_).subspan(carried_out_);
    if (!home_.audience.apply(changes, applied_)) return false;
    carried_out_ += changes.size();
    applied_ = 0;
    return true;
}

void Catalog::stage(const Change& change) {
    if (store_ == nullptr || failed_) return;
    try {
        const std::uint64_t before = store_->staged();
        store_->stage(change, home_.view);
        home_.turn.spend(Turn::change + (store_->staged() - before) * Turn::stored_change);
    } catch (const std::exception& error) {
        say_failure(error.what());
    }
}

void Catalog::store() {
    if (store_ == nullptr) return;
    const auto attempt = [this](auto act) {
        try {
            act();
        } catch (const std::exception& error) {
            say_failure(error.what());
        }
    };
    if (!failed_) attempt([this] { store_->commit(); });
    if (failed_) attempt([this] { store_->forget(); });
}

void Catalog::say_failure(const char* what) noexcept {
    failed_ = true;
    try {
        spdlog::error("the catalog cannot be stored: {}", protocol::printable(what));
    } catch (const std::bad_alloc&) {  // without a word, then
    }
}

void Catalog::take_back() {
    deciding_.reset();  // it is decided with what the view will be
    // What came is taken away again, and its places are free. What went stays away until the next start, for
    // its messages are gone already: the other shards are told so.
    for (auto change = changes_->rbegin(); change != changes_->rend(); ++change) {
        if (auto* exchange = std::get_if<change::DeclareExchange>(&*change))
            back_.push_back(change::DeleteExchange{exchange->vhost, std::move(exchange->name)});
        if (const auto* queue = std::get_if<change::DeclareQueue>(&*change);
            queue != nullptr && home_.view.queue(queue->id) != nullptr) {
            back_.push_back(change::DeleteQueue{queue->id});
            numbers_.give_back(queue->id);
        }
        if (auto* bound = std::get_if<change::Bind>(&*change))
            back_.push_back(change::Unbind{bound->vhost, std::move(bound->source),
                                           std::move(bound->destination), bound->to_queue,
                                           std::move(bound->routing_key), std::move(bound->arguments)});
    }
    std::erase_if(*changes_, [](const Change& change) {
        return std::holds_alternative<change::DeclareExchange>(change) ||
               std::holds_alternative<change::DeclareQueue>(change) ||
               std::holds_alternative<change::Bind>(change);
    });
    while (!home_.audience.apply(back_, taken_back_)) {
    }
    back_.clear();
    taken_back_ = 0;
    failed_ = false;
    new_home_.reset();
    for (auto& [reply_to, answer] : answers_) answer = answer::Refused{Refusal::not_stored};
}

void Catalog::tell() {
    if (new_home_) {
        home_first_ = true;
        outstanding_ = 1;
        untold_ = std::uint64_t{1} << *new_home_;
    } else {
        plan_the_rest();
    }
    go_on_telling();
    if (answering_) answer_all();
}

void Catalog::plan_the_rest() {
    untold_ = 0;
    for (std::size_t other = 0; other < home_.shards; ++other)
        if (other != home_.shard && other != new_home_) untold_ |= std::uint64_t{1} << other;
    outstanding_ = static_cast<std::size_t>(std::popcount(untold_));
    answering_ = outstanding_ == 0;
}

void Catalog::go_on_telling() {
    for (; untold_ != 0; untold_ &= untold_ - 1)
        home_.audience.tell(static_cast<ShardIndex>(std::countr_zero(untold_)), changes_);
}

void Catalog::answer_all() {
    answering_ = true;
    for (; answered_ != answers_.size(); ++answered_)
        home_.audience.reply(answers_[answered_].first, std::move(answers_[answered_].second));
    answers_.clear();
    answered_ = 0;
    answering_ = busy_ = false;
}

void Catalog::applied() {
    if (--outstanding_ != 0) return;
    if (std::exchange(home_first_, false)) {
        plan_the_rest();
    } else {
        answering_ = true;
    }
}

bool Catalog::is_full() const {
    const std::uint64_t most = home_.held_memory;
    return most != 0 && home_.view.octets(home_.shards) >= most;
}

Catalog::Decision Catalog::decide(request::DeclareExchange& asked) {
    if (home_.view.vhost(asked.exchange.vhost).exchange(asked.exchange.name) != nullptr)
        return {{}, answer::Refused{Refusal::exists}};
    if (!home_.view.vhost(asked.exchange.vhost).routes.has_room())
        return {{}, answer::Refused{Refusal::no_room}};
    if (is_full()) return {{}, answer::Refused{Refusal::too_much}};
    return {{std::move(asked.exchange)}, {}};
}

Catalog::Decision Catalog::decide(request::DeleteExchange& asked) {
    const Vhost& vhost = home_.view.vhost(asked.vhost);
    const auto index = vhost.routes.find_exchange(asked.name);
    if (!index) return {};
    if (asked.if_unused && vhost.routes.bindings_from(*index) != 0)
        return {{}, answer::Refused{Refusal::in_use}};
    Decision decision{{change::DeleteExchange{asked.vhost, asked.name}}, {}, Cascade(vhost)};
    decision.cascade->lose_destination({routing::Destination::Kind::exchange, *index});
    return decision;
}

Catalog::Decision Catalog::decide(request::DeclareQueue& asked) {
    const Vhost& vhost = home_.view.vhost(asked.queue.vhost);
    if (home_.view.queue(vhost, asked.queue.name) != nullptr) return {{}, answer::Refused{Refusal::exists}};
    if (!numbers_.has_room()) return {{}, answer::Refused{Refusal::no_room}};
    if (is_full()) return {{}, answer::Refused{Refusal::too_much}};
    Decision decision{{std::move(asked.queue)}, {}};
    std::get<change::DeclareQueue>(decision.changes.front()).id = numbers_.take();
    return decision;
}

Catalog::Decision Catalog::decide(request::CloseQueue& asked) {
    return {{change::CloseQueue{asked.id}}, {}};
}

Catalog::Decision Catalog::decide(request::ReopenQueue& asked) {
    return {{change::ReopenQueue{asked.id}}, {}};
}

Catalog::Decision Catalog::decide(request::DeleteQueue& asked) {
    const answer::Deleted deleted{asked.messages};
    const QueueInfo* queue = home_.view.queue(asked.id);
    if (queue == nullptr) return {{}, deleted};
    Decision decision{{change::DeleteQueue{asked.id}}, deleted, Cascade(home_.view.vhost(queue->vhost))};
    decision.cascade->lose_destination({routing::Destination::Kind::queue, slot_of(asked.id)});
    return decision;
}

Catalog::Decision Catalog::decide(request::Bind& asked) {
    Vhost& vhost = home_.view.vhost(asked.binding.vhost);
    const auto source = vhost.routes.find_exchange(asked.binding.source);
    if (!source) return {{}, answer::Refused{Refusal::no_source}};
    const auto destination =
        destination_of(home_.view, vhost, asked.binding.destination, asked.binding.to_queue);
    if (!destination) return {{}, answer::Refused{Refusal::no_destination}};
    if (vhost.routes.has_binding(*source, *destination, asked.binding.routing_key,
                                 protocol::TableView(asked.binding.arguments)))
        return {};
    if (!vhost.routes.has_room()) return {{}, answer::Refused{Refusal::no_room}};
    if (is_full()) return {{}, answer::Refused{Refusal::too_much}};
    return {{std::move(asked.binding)}, {}};
}

Catalog::Decision Catalog::decide(request::Unbind& asked) {
    Vhost& vhost = home_.view.vhost(asked.binding.vhost);
    const auto source = vhost.routes.find_exchange(asked.binding.source);
    const auto destination =
        destination_of(home_.view, vhost, asked.binding.destination, asked.binding.to_queue);
    if (!source || !destination) return {};
    if (!vhost.routes.has_binding(*source, *destination, asked.binding.routing_key,
                                  protocol::TableView(asked.binding.arguments)))
        return {};
    // A copy, for it is decided again if that takes turns and what is stored before it has to be taken back.
    Decision decision{{asked.binding}, {}, Cascade(vhost)};
    decision.cascade->lose_binding(*source);
    return decision;
}

}  // namespace trilby::broker
