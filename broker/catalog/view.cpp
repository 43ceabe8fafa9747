// SPDX-License-Identifier: Apache-2.0
#include "broker/catalog/view.hpp"

#include <utility>

#include "protocol/field_table.hpp"
#include "protocol/room.hpp"

namespace trilby::broker {

const ExchangeInfo* Vhost::exchange(std::string_view exchange_name) const {
    const auto place = routes.find_exchange(exchange_name);
    return place ? &exchanges[*place] : nullptr;
}

std::optional<routing::Destination> destination_of(const View& view, const Vhost& vhost,
                                                   std::string_view name, bool is_queue) {
    using Kind = routing::Destination::Kind;
    if (is_queue) {
        const QueueInfo* queue = view.queue(vhost, name);
        if (queue == nullptr) return std::nullopt;
        return routing::Destination{Kind::queue, slot_of(queue->id)};
    }
    const auto exchange = vhost.routes.find_exchange(name);
    if (!exchange) return std::nullopt;
    return routing::Destination{Kind::exchange, *exchange};
}

const Vhost* View::vhost(std::string_view name) const {
    // Few, and looked up once a connection.
    for (const auto& vhost : vhosts_)
        if (vhost->name == name) return vhost.get();
    return nullptr;
}

const QueueInfo* View::queue(const Vhost& vhost, std::string_view name) const {
    const auto place = vhost.routes.find_queue(name);
    return place ? &queues_[*place] : nullptr;
}

const QueueInfo* View::queue(QueueId id) const {
    const std::uint32_t slot = slot_of(id);
    return slot < queues_.size() && queues_[slot].id == id ? &queues_[slot] : nullptr;
}

QueueInfo* View::mutable_queue(QueueId id) {
    return const_cast<QueueInfo*>(queue(id));
}

std::size_t View::octets(std::size_t shards) const {
    constexpr std::size_t queue_itself = 1024;
    constexpr std::size_t queue_known = 384, exchange_known = 384;
    std::size_t known = queue_count_ * queue_known + exchange_count_ * exchange_known + 3 * name_octets_;
    std::size_t once = queue_count_ * queue_itself + table_octets_;
    for (const auto& vhost : vhosts_) {
        known += vhost->routes.octets();
        once += vhost->routes.table_octets();
    }
    return known * shards + once;
}

bool View::tidy(std::size_t most) {
    if (untidy_ == nullptr || !untidy_->tidy(most)) return untidy_ == nullptr;
    untidy_ = nullptr;
    return true;
}

void View::apply(const Change& change) {
    tidy(SIZE_MAX);
    // Whether a queue is closed is looked at with each publish, and changes no route.
    if (!std::holds_alternative<change::CloseQueue>(change) &&
        !std::holds_alternative<change::ReopenQueue>(change))
        ++generation_;
    std::visit([this](const auto& one) { apply_one(one); }, change);
}

void View::apply_one(const change::AddVhost& added) {
    auto vhost = std::make_unique<Vhost>();
    vhost->name = added.name;
    vhost->index = static_cast<VhostIndex>(vhosts_.size());
    vhost->default_queue_type = queue_type_of(added.default_queue_type);
    vhosts_.push_back(std::move(vhost));
}

void View::apply_one(const change::SetAccess& set) {
    access_ = set.access;
}

void View::apply_one(const change::DeclareExchange& declared) {
    Vhost& home = vhost(declared.vhost);
    ExchangeInfo info{declared.name,        declared.type,     declared.durable,
                      declared.auto_delete, declared.internal, declared.arguments};
    make_room(home.exchanges, home.exchanges.size() + 1);
    const routing::ExchangeIndex index = home.routes.add_exchange(declared.name, declared.type);
    Undo not_there([&] { home.routes.remove_exchange(index); });
    const auto alternate = protocol::TableView(declared.arguments).find("alternate-exchange");
    if (alternate) home.routes.set_alternate(index, alternate->as_string().value_or(""));
    not_there.keep();
    if (home.exchanges.size() <= index) home.exchanges.resize(index + 1);
    home.exchanges[index] = std::move(info);
    ++exchange_count_;
    name_octets_ += declared.name.size();
    table_octets_ += declared.arguments.raw().size();
}

void View::apply_one(const change::DeleteExchange& deleted) {
    Vhost& home = vhost(deleted.vhost);
    const auto index = home.routes.find_exchange(deleted.name);
    if (!index) return;
    home.routes.remove_exchange(*index);
    untidy_ = &home.routes;
    --exchange_count_;
    name_octets_ -= deleted.name.size();
    table_octets_ -= home.exchanges[*index].arguments.raw().size();
    home.exchanges[*index] = {};
}

void View::apply_one(const change::DeclareQueue& declared) {
    const std::uint32_t slot = slot_of(declared.id);
    if (queues_.size() <= slot) queues_.resize(slot + 1);
    QueueInfo info{declared.id,      declared.name,        declared.vhost, declared.home,
                   declared.durable, declared.auto_delete, declared.owner, declared.arguments};
    vhost(declared.vhost).routes.add_queue(declared.name, slot);
    queues_[slot] = std::move(info);
    ++queue_count_;
    name_octets_ += declared.name.size();
    table_octets_ += declared.arguments.raw().size();
}

void View::apply_one(const change::CloseQueue& closed) {
    QueueInfo* info = mutable_queue(closed.id);
    if (info != nullptr && !std::exchange(info->closed, true)) ++closed_queues_;
}

void View::apply_one(const change::ReopenQueue& reopened) {
    QueueInfo* info = mutable_queue(reopened.id);
    if (info != nullptr && std::exchange(info->closed, false)) --closed_queues_;
}

void View::apply_one(const change::DeleteQueue& deleted) {
    QueueInfo* info = mutable_queue(deleted.id);
    if (info == nullptr) return;
    if (info->closed) --closed_queues_;
    routing::Table& routes = vhost(info->vhost).routes;
    routes.remove_queue(slot_of(deleted.id));
    untidy_ = &routes;
    --queue_count_;
    name_octets_ -= info->name.size();
    table_octets_ -= info->arguments.raw().size();
    *info = {};
}

void View::apply_one(const change::Bind& bound) {
    Vhost& home = vhost(bound.vhost);
    const auto source = home.routes.find_exchange(bound.source);
    const auto destination = destination_of(*this, home, bound.destination, bound.to_queue);
    if (source && destination) home.routes.bind(*source, *destination, bound.routing_key, bound.arguments);
}

void View::apply_one(const change::Unbind& unbound) {
    Vhost& home = vhost(unbound.vhost);
    const auto source = home.routes.find_exchange(unbound.source);
    const auto destination = destination_of(*this, home, unbound.destination, unbound.to_queue);
    if (source && destination)
        home.routes.unbind(*source, *destination, unbound.routing_key,
                           protocol::TableView(unbound.arguments));
}

}  // namespace trilby::broker
