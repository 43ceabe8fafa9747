// SPDX-License-Identifier: Apache-2.0
#include "broker/catalog.hpp"

#include <algorithm>
#include <unordered_map>

#include "broker/shard.hpp"

namespace trilby::broker {

namespace {

struct PredeclaredExchange {
    const char* name;
    routing::ExchangeType type;
    bool internal = false;
};
constexpr PredeclaredExchange predeclared[] = {
    {"amq.direct", routing::ExchangeType::direct}, {"amq.fanout", routing::ExchangeType::fanout},
    {"amq.topic", routing::ExchangeType::topic},   {"amq.headers", routing::ExchangeType::headers},
    {"amq.match", routing::ExchangeType::headers}, {"amq.rabbitmq.trace", routing::ExchangeType::topic, true},
};

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
    if (!busy_) work();
}

void Catalog::work() {
    while (!pending_.empty()) {
        Pending next = std::move(pending_.front());
        pending_.pop_front();
        Decision decision = std::visit([this](auto& asked) { return decide(asked); }, next.request);
        if (decision.changes.empty()) {
            shard_.reply(next.reply_to, decision.answer);
            continue;
        }
        busy_ = true;
        changes_ = std::make_shared<const ChangeSet>(std::move(decision.changes));
        reply_to_ = next.reply_to;
        answer_ = decision.answer;
        const auto* declared = std::get_if<change::DeclareQueue>(&changes_->front());
        home_first_ = declared != nullptr && declared->home != shard_.index();
        if (home_first_) {
            home_ = declared->home;
            outstanding_ = 1;
            shard_.tell(home_, changes_);
            return;
        }
        shard_.apply(*changes_);
        tell_all_but(shard_.index());
        if (outstanding_ != 0) return;
        busy_ = false;
        shard_.reply(reply_to_, answer_);
    }
}

void Catalog::tell_all_but(ShardIndex told) {
    outstanding_ = 0;
    for (std::size_t other = 0; other < shards_; ++other) {
        if (other == told || other == shard_.index()) continue;
        ++outstanding_;
        shard_.tell(static_cast<ShardIndex>(other), changes_);
    }
}

void Catalog::applied() {
    if (--outstanding_ != 0) return;
    if (home_first_) {
        home_first_ = false;
        shard_.apply(*changes_);
        tell_all_but(home_);
        if (outstanding_ != 0) return;
    }
    busy_ = false;
    shard_.reply(reply_to_, answer_);
    work();
}

QueueId Catalog::new_queue_id() {
    std::uint32_t slot;
    if (free_slots_.empty()) {
        slot = slots_++;
    } else {
        slot = free_slots_.back();
        free_slots_.pop_back();
    }
    return QueueId{++last_queue_ << slot_bits | slot};
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
    const Vhost& vhost = shard_.view().vhost(asked.binding.vhost);
    if (!vhost.routes.find_exchange(asked.binding.source)) return {{}, {.status = Answer::Status::no_source}};
    if (!destination_of(shard_.view(), vhost, asked.binding.destination, asked.binding.to_queue))
        return {{}, {.status = Answer::Status::no_destination}};
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
    for (const PredeclaredExchange& exchange : predeclared)
        changes.push_back(change::DeclareExchange{.vhost = index,
                                                  .name = exchange.name,
                                                  .type = exchange.type,
                                                  .durable = true,
                                                  .internal = exchange.internal});
}

ChangeSet Catalog::embedded_default() {
    ChangeSet changes;
    add_vhost(changes, 0, "/");
    auto access = std::make_shared<auth::Access>();
    access->set_user("guest", auth::PasswordHash::of("guest"), {"administrator"});
    if (auto set = access->set_permission("guest", "/", ".*", ".*", ".*"); !set)
        throw std::logic_error(set.error());
    changes.push_back(change::SetAccess{std::move(access)});
    return changes;
}

}  // namespace trilby::broker
