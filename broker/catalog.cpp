// SPDX-License-Identifier: Apache-2.0
#include "broker/catalog.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include <spdlog/spdlog.h>

#include "broker/catalog_store.hpp"
#include "broker/predeclared_exchanges.hpp"
#include "broker/shard.hpp"
#include "broker/sqlite.hpp"

namespace trilby::broker {

namespace {

/// So many requests are decided, stored and told at once.
constexpr std::size_t most_together = 1000;

/// What else goes when bindings go: auto-delete exchanges without an outgoing binding left, through chains
/// and loops.
class Cascade {
  public:
    Cascade(ChangeSet& changes, const Vhost& vhost) : changes_(changes), vhost_(vhost) {}

    void lose_binding(routing::ExchangeIndex source) {
        const std::size_t lost = ++lost_[source];
        if (!vhost_.exchanges[source].auto_delete || lost < vhost_.routes.bindings_from(source) ||
            is_gone(source))
            return;
        gone_.push_back(source);
        changes_.push_back(change::DeleteExchange{vhost_.index, vhost_.exchanges[source].name});
    }

    void lose_destination(routing::Destination destination) {
        if (destination.kind == routing::Destination::Kind::exchange) gone_.push_back(destination.index);
        lose_bindings_of(destination);
        for (; next_ < gone_.size(); ++next_)
            lose_bindings_of({routing::Destination::Kind::exchange, gone_[next_]});
    }

    void settle() {
        for (; next_ < gone_.size(); ++next_)
            lose_bindings_of({routing::Destination::Kind::exchange, gone_[next_]});
    }

  private:
    bool is_gone(routing::ExchangeIndex index) const {
        return std::find(gone_.begin(), gone_.end(), index) != gone_.end();
    }
    void lose_bindings_of(routing::Destination destination) {
        std::vector<routing::ExchangeIndex> sources;
        vhost_.routes.each_binding_of(destination, [&](routing::ExchangeIndex source, std::string_view,
                                                       protocol::TableView) { sources.push_back(source); });
        for (const routing::ExchangeIndex source : sources) lose_binding(source);
    }

    ChangeSet& changes_;
    const Vhost& vhost_;
    std::unordered_map<routing::ExchangeIndex, std::size_t> lost_;
    std::vector<routing::ExchangeIndex> gone_;
    std::size_t next_ = 0;  // of gone_: those before it have been looked at
};

}  // namespace

void Catalog::submit(CatalogRequest request, ReplyTo reply_to) {
    pending_.push_back({std::move(request), reply_to});
}

void Catalog::store_in(CatalogStore& store) {
    store_ = &store;
    last_queue_ = store.last_queue_id();
}

void Catalog::work() {
    while (!pending_.empty() && !busy_) {
        gather();
        if (changes_->empty()) {
            answer_all();
            continue;
        }
        if (!store()) {
            take_back();
            if (changes_->empty()) {
                answer_all();
                continue;
            }
        }
        busy_ = true;
        tell();
    }
}

void Catalog::gather() {
    changes_ = std::make_shared<ChangeSet>();
    home_.reset();
    while (!pending_.empty() && answers_.size() < most_together) {
        Pending& next = pending_.front();
        if (const auto* asked = std::get_if<request::DeclareQueue>(&next.request);
            asked != nullptr && asked->queue.home != shard_.index()) {
            // One home is told first, so the queues of another one wait for the next time.
            if (home_ && *home_ != asked->queue.home) break;
            home_ = asked->queue.home;
        }
        Decision decision = std::visit([this](auto& asked) { return decide(asked); }, next.request);
        for (const Change& change : decision.changes) stage(change);
        shard_.apply(decision.changes);
        std::move(decision.changes.begin(), decision.changes.end(), std::back_inserter(*changes_));
        answers_.emplace_back(next.reply_to, decision.answer);
        pending_.pop_front();
    }
}

void Catalog::stage(const Change& change) {
    if (store_ == nullptr || failure_) return;
    try {
        store_->stage(change, shard_.view());
    } catch (const sqlite::Error& error) {
        failure_ = error.what();
    }
}

bool Catalog::store() {
    if (store_ == nullptr) return true;
    try {
        if (!failure_) {
            store_->commit();
            return true;
        }
        store_->forget();
    } catch (const sqlite::Error& error) {
        failure_ = error.what();
    }
    spdlog::error("the catalog cannot be stored: {}", *failure_);
    failure_.reset();
    return false;
}

void Catalog::take_back() {
    // What came is taken away again, and its places are free. What went stays away until the next start, for
    // its messages are gone already: the other shards are told so.
    ChangeSet back;
    ChangeSet gone;
    for (auto change = changes_->rbegin(); change != changes_->rend(); ++change) {
        if (const auto* exchange = std::get_if<change::DeclareExchange>(&*change))
            back.push_back(change::DeleteExchange{exchange->vhost, exchange->name});
        if (const auto* queue = std::get_if<change::DeclareQueue>(&*change);
            queue != nullptr && shard_.view().queue(queue->id) != nullptr) {
            back.push_back(change::DeleteQueue{queue->id});
            free_slots_.push_back(slot_of(queue->id));
        }
        if (const auto* bound = std::get_if<change::Bind>(&*change))
            back.push_back(change::Unbind{bound->vhost, bound->source, bound->destination, bound->to_queue,
                                          bound->routing_key, bound->arguments});
    }
    for (Change& change : *changes_)
        if (std::holds_alternative<change::DeleteExchange>(change) ||
            std::holds_alternative<change::DeleteQueue>(change) ||
            std::holds_alternative<change::Unbind>(change))
            gone.push_back(std::move(change));
    shard_.apply(back);
    *changes_ = std::move(gone);
    home_.reset();
    for (auto& [reply_to, answer] : answers_) answer = {.status = Answer::Status::not_stored};
}

void Catalog::tell() {
    if (home_) {
        home_first_ = true;
        outstanding_ = 1;
        shard_.tell(*home_, changes_);
    } else {
        tell_the_rest();
    }
}

void Catalog::tell_the_rest() {
    outstanding_ = 0;
    for (std::size_t other = 0; other < shards_; ++other) {
        if (other == shard_.index() || other == home_) continue;
        ++outstanding_;
        shard_.tell(static_cast<ShardIndex>(other), changes_);
    }
    if (outstanding_ == 0) answer_all();
}

void Catalog::answer_all() {
    busy_ = false;
    for (const auto& [reply_to, answer] : std::exchange(answers_, {})) shard_.reply(reply_to, answer);
}

void Catalog::applied() {
    if (--outstanding_ != 0) return;
    if (std::exchange(home_first_, false)) {
        tell_the_rest();
    } else {
        answer_all();
    }
}

QueueId Catalog::new_queue_id(std::uint64_t known) {
    std::uint32_t slot;
    if (free_slots_.empty()) {
        slot = slots_++;
    } else {
        slot = free_slots_.back();
        free_slots_.pop_back();
    }
    if (known == 0) known = ++last_queue_;
    last_queue_ = std::max(last_queue_, known);
    return QueueId{known << slot_bits | slot};
}

Catalog::Decision Catalog::decide(request::DeclareExchange& asked) {
    if (shard_.view().vhost(asked.exchange.vhost).exchange(asked.exchange.name) != nullptr)
        return {{}, {.status = Answer::Status::exists}};
    return {{std::move(asked.exchange)}, {}};
}

Catalog::Decision Catalog::decide(request::DeleteExchange& asked) {
    const Vhost& vhost = shard_.view().vhost(asked.vhost);
    const auto index = vhost.routes.find_exchange(asked.name);
    if (!index) return {};
    if (asked.if_unused && vhost.routes.bindings_from(*index) != 0)
        return {{}, {.status = Answer::Status::in_use}};
    Decision decision{{change::DeleteExchange{asked.vhost, asked.name}}, {}};
    Cascade(decision.changes, vhost).lose_destination({routing::Destination::Kind::exchange, *index});
    return decision;
}

Catalog::Decision Catalog::decide(request::DeclareQueue& asked) {
    const Vhost& vhost = shard_.view().vhost(asked.queue.vhost);
    if (shard_.view().queue(vhost, asked.queue.name) != nullptr)
        return {{}, {.status = Answer::Status::exists}};
    asked.queue.id = new_queue_id();
    return {{std::move(asked.queue)}, {}};
}

Catalog::Decision Catalog::decide(request::DeleteQueue& asked) {
    const Answer answer{.messages = asked.messages};
    const QueueInfo* queue = shard_.view().queue(asked.id);
    if (queue == nullptr) return {{}, answer};
    Decision decision{{change::DeleteQueue{asked.id}}, answer};
    Cascade(decision.changes, shard_.view().vhost(queue->vhost))
        .lose_destination({routing::Destination::Kind::queue, slot_of(asked.id)});
    free_slots_.push_back(slot_of(asked.id));
    return decision;
}

Catalog::Decision Catalog::decide(request::Bind& asked) {
    Vhost& vhost = shard_.view().vhost(asked.binding.vhost);
    const auto source = vhost.routes.find_exchange(asked.binding.source);
    if (!source) return {{}, {.status = Answer::Status::no_source}};
    const auto destination =
        destination_of(shard_.view(), vhost, asked.binding.destination, asked.binding.to_queue);
    if (!destination) return {{}, {.status = Answer::Status::no_destination}};
    if (vhost.routes.has_binding(*source, *destination, asked.binding.routing_key,
                                 protocol::TableView(asked.binding.arguments)))
        return {};
    return {{std::move(asked.binding)}, {}};
}

Catalog::Decision Catalog::decide(request::Unbind& asked) {
    Vhost& vhost = shard_.view().vhost(asked.binding.vhost);
    const auto source = vhost.routes.find_exchange(asked.binding.source);
    const auto destination =
        destination_of(shard_.view(), vhost, asked.binding.destination, asked.binding.to_queue);
    if (!source || !destination) return {};
    if (!vhost.routes.has_binding(*source, *destination, asked.binding.routing_key,
                                  protocol::TableView(asked.binding.arguments)))
        return {};
    Decision decision{{std::move(asked.binding)}, {}};
    Cascade cascade(decision.changes, vhost);
    cascade.lose_binding(*source);
    cascade.settle();
    return decision;
}

void Catalog::add_vhost(ChangeSet& changes, VhostIndex index, std::string_view name) {
    changes.push_back(change::AddVhost{std::string(name)});
    for (const PredeclaredExchange& exchange : predeclared_exchanges)
        changes.push_back(change::DeclareExchange{.vhost = index,
                                                  .name = exchange.name,
                                                  .type = exchange.type,
                                                  .durable = true,
                                                  .internal = exchange.internal});
}

Definitions Catalog::embedded_default() {
    const auth::PasswordHash guest = auth::PasswordHash::of("guest");
    Definitions definitions;
    definitions.vhosts.push_back({"/", "", {}, ""});
    definitions.users.push_back({.name = "guest",
                                 .password_hash = guest.base64(),
                                 .hashing_algorithm = std::string(guest.algorithm()),
                                 .tags = {"administrator"}});
    definitions.permissions.push_back({"guest", "/", ".*", ".*", ".*"});
    return definitions;
}

}  // namespace trilby::broker
