// SPDX-License-Identifier: Apache-2.0
#include "broker/shard/router.hpp"

#include <array>
#include <new>

#include "protocol/room.hpp"

namespace trilby::broker {

namespace {

/// Routes to more queues than this are asked of the table each time, which has a cache of its own.
constexpr std::size_t remembered_queues = 16;

/// Queues that will not have it, of those for which it was stored.
void take_out_of_journal(Shard& shard, std::uint64_t stored, std::span<const QueueId> queues) noexcept {
    if (stored == 0 || shard.stopping()) return;
    try {
        for (const QueueId id : queues)
            if (const QueueInfo* const queue = shard.view().queue(id); queue == nullptr || queue->durable)
                shard.journal()->settle(stored_id(id), stored);
    } catch (const std::bad_alloc&) {  // it comes back with the next start, and nobody was promised that not
    }
}

}  // namespace

std::span<const routing::QueueIndex> Router::find(const Target& target, const Publication& publication,
                                                  protocol::TableView headers) {
    routing::Table& routes = target.vhost.routes;
    const std::string_view key = publication.routing_key();
    const auto queues =
        target.by_default ? routes.route_default(key) : routes.route(target.exchange, key, headers.raw());
    shard_.turn().spend(routes.take_steps() / Turn::route_steps);
    if ((target.by_default || routes.routed_by_keys()) && queues.size() <= remembered_queues) {
        last_.generation = shard_.view().generation();
        last_.names.assign(publication.names);
        last_.queues.assign(queues.begin(), queues.end());
    }
    return queues;
}

std::vector<routing::QueueIndex> Router::find(const Target& target, std::span<const std::string_view> keys,
                                              protocol::TableView headers) {
    routing::Table& routes = target.vhost.routes;
    const auto found =
        target.by_default ? routes.route_default(keys) : routes.route(target.exchange, keys, headers.raw());
    shard_.turn().spend(keys.size() + routes.take_steps() / Turn::route_steps);
    return {found.begin(), found.end()};
}

QueueId Router::closed_among(std::span<const routing::QueueIndex> queues) const {
    for (const routing::QueueIndex place : queues)
        if (const QueueInfo& queue = shard_.view().queue(place); queue.closed) return queue.id;
    return QueueId{};
}

std::uint64_t Router::store(const Publication& publication, std::span<const routing::QueueIndex> queues) {
    if (queues.size() == 1)
        if (const Queue* const near = shard_.view().queue(queues.front()).near;
            near != nullptr && near->settles_at_once())
            return 0;
    std::array<journal::StoredQueue, 64> few;
    std::vector<journal::StoredQueue> many;
    if (queues.size() > few.size()) many.resize(queues.size());
    const std::span<journal::StoredQueue> durable = many.empty() ? std::span(few) : std::span(many);
    std::size_t count = 0;
    for (const routing::QueueIndex place : queues)
        if (const QueueInfo& queue = shard_.view().queue(place); queue.durable)
            durable[count++] = stored_id(queue.id);
    if (count == 0) return 0;
    shard_.journal()->make_room(count);  // to take it back if a queue cannot have it
    const std::uint64_t id = shard_.journal()->publish(durable.first(count), publication);
    stored_to_ = shard_.journal()->publish_position();
    return id;
}

bool Router::send_to_all(Arrival& arrival, std::span<const routing::QueueIndex> queues,
                         std::unique_ptr<Rest>& rest) {
    const View& view = shard_.view();
    std::size_t sent = 0;
    Undo not_in_all([&] {
        for (const routing::QueueIndex queue : queues.subspan(sent)) {
            const QueueId id = view.queue(queue).id;
            take_out_of_journal(shard_, arrival.stored(), {&id, 1});
        }
    });
    bool room = arrival.stored() == 0 || !shard_.journal()->full();
    for (;;) {
        room = shard_.enqueue(view.queue(queues[sent]), arrival) && room;
        if (++sent == queues.size() || shard_.turn().is_over()) break;
        // For those that it does not come to.
        if (arrival.stored() != 0) shard_.journal()->make_room(queues.size() - sent);
    }
    if (sent != queues.size()) {
        std::vector<QueueId> left;
        left.reserve(queues.size() - sent);
        for (const routing::QueueIndex queue : queues.subspan(sent)) left.push_back(view.queue(queue).id);
        rest = std::make_unique<Rest>(shard_, Held(arrival.keep(), shard_.messages()), std::move(left));
    }
    not_in_all.keep();
    return room;
}

Router::Rest::Rest(Shard& shard, Held message, std::vector<QueueId> queues)
    : shard_(shard), message_(std::move(message)), queues_(std::move(queues)) {}

Router::Rest::~Rest() {
    take_out_of_journal(shard_, message_->stored, std::span(queues_).subspan(sent_));
}

Router::Rest::Step Router::Rest::go_on() {
    Arrival arrival(message_.get(), shard_.messages());
    Step step;
    do {
        const QueueId id = queues_[sent_];
        const QueueInfo* const queue = shard_.view().queue(id);
        if (queue != nullptr && queue->closed) {
            step.undecided = id;
            return step;
        }
        if (queue != nullptr) {
            step.room = shard_.enqueue(*queue, arrival) && step.room;
        } else if (arrival.stored() != 0) {  // deleted meanwhile
            shard_.journal()->settle(stored_id(id), arrival.stored());
        }
        ++sent_;
    } while (sent_ != queues_.size() && !shard_.turn().is_over());
    step.done = sent_ == queues_.size();
    return step;
}

}  // namespace trilby::broker
