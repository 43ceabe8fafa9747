// SPDX-License-Identifier: Apache-2.0
#include "broker/view.hpp"

#include "protocol/field_table.hpp"

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

void View::apply(const Change& change) {
    ++generation_;
    std::visit([this](const auto& one) { apply_one(one); }, change);
}

void View::apply_one(const change::AddVhost& added) {
    auto vhost = std::make_unique<Vhost>();
    vhost->name = added.name;
    vhost->index = static_cast<VhostIndex>(vhosts_.size());
    vhosts_.push_back(std::move(vhost));
}

void View::apply_one(const change::SetAccess& set) {
    access_ = set.access;
}

void View::apply_one(const change::DeclareExchange& declared) {
    Vhost& home = vhost(declared.vhost);
    const routing::ExchangeIndex index = home.routes.add_exchange(declared.name, declared.type);
    if (home.exchanges.size() <= index) home.exchanges.resize(index + 1);
    home.exchanges[index] = {declared.name,        declared.type,     declared.durable,
                             declared.auto_delete, declared.internal, declared.arguments};
    const auto alternate = protocol::TableView(declared.arguments).find("alternate-exchange");
    if (alternate) home.routes.set_alternate(index, alternate->as_string().value_or(""));
}

void View::apply_one(const change::DeleteExchange& deleted) {
    Vhost& home = vhost(deleted.vhost);
    const auto index = home.routes.find_exchange(deleted.name);
    if (!index) return;
    home.routes.remove_exchange(*index);
    home.exchanges[*index] = {};
}

void View::apply_one(const change::DeclareQueue& declared) {
    const std::uint32_t slot = slot_of(declared.id);
    if (queues_.size() <= slot) queues_.resize(slot + 1);
    queues_[slot] = {declared.id,      declared.name,        declared.vhost, declared.home,
                     declared.durable, declared.auto_delete, declared.owner, declared.arguments};
    vhost(declared.vhost).routes.add_queue(declared.name, slot);
}

void View::apply_one(const change::DeleteQueue& deleted) {
    QueueInfo* info = mutable_queue(deleted.id);
    if (info == nullptr) return;
    vhost(info->vhost).routes.remove_queue(slot_of(deleted.id));
    *info = {};
}

void View::apply_one(const change::Bind& bound) {
    Vhost& home = vhost(bound.vhost);
    const auto source = home.routes.find_exchange(bound.source);
    const auto destination = destination_of(*this, home, bound.destination, bound.to_queue);
    if (source && destination)
        home.routes.bind(*source, *destination, bound.routing_key, protocol::TableView(bound.arguments));
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
