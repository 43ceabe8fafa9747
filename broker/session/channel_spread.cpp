// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "broker/asking/direct_reply.hpp"
#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"
#include "protocol/room.hpp"

// basic.publish to several queues, which may be more than one turn has room for.

namespace trilby::broker {

/// A message that more queues get than one turn has room for.
struct Channel::Spread {
    explicit Spread(Shard& there) : shard(there) {}
    ~Spread() {
        // The connection has failed: those that are left do not get it.
        if (begun) take_out_of_journal(shard, message->stored, std::span(queues).subspan(sent));
    }
    Spread(const Spread&) = delete;
    Spread& operator=(const Spread&) = delete;

    static void take_out_of_journal(Shard& shard, std::uint64_t stored,
                                    std::span<const QueueId> queues) noexcept;

    Shard& shard;
    std::shared_ptr<Message> message;
    std::vector<QueueId> queues;
    std::vector<ReplyAddress> replies;
    std::size_t sent = 0;  // to so many of the queues
    bool begun = false;    // the first ones have it
};

void Channel::Spread::take_out_of_journal(Shard& shard, std::uint64_t stored,
                                          std::span<const QueueId> queues) noexcept {
    if (stored == 0 || shard.stopping()) return;
    try {
        for (const QueueId id : queues)
            if (const QueueInfo* const queue = shard.view().queue(id); queue == nullptr || queue->durable)
                shard.journal()->settle(stored_id(id), stored);
    } catch (const std::bad_alloc&) {  // it comes back with the next start, and nobody was promised that not
    }
}

bool Channel::send_to_queues(Arrival& arrival, const Route& route) {
    const View& view = shard().view();
    const std::span<const routing::QueueIndex> queues = route.queues;
    std::size_t sent = 0;
    Undo not_in_all([&] {
        for (const routing::QueueIndex queue : queues.subspan(sent)) {
            const QueueId id = view.queue(queue).id;
            Spread::take_out_of_journal(shard(), arrival.stored(), {&id, 1});
        }
    });
    bool room = arrival.stored() == 0 || !shard().journal()->full();
    for (;;) {
        room = shard().enqueue(view.queue(queues[sent]), arrival) && room;
        if (++sent == queues.size() || shard().turn().is_over()) break;
        // For those that it does not come to.
        if (arrival.stored() != 0) shard().journal()->make_room(queues.size() - sent);
    }
    if (!room) session_.wait_for_room();
    if (sent != queues.size()) spread(arrival, route, sent);
    not_in_all.keep();
    return sent == queues.size();
}

void Channel::spread(Arrival& arrival, const Route& route, std::size_t sent) {
    const auto rest = std::make_shared<Spread>(shard());
    MessagePool& pool = shard().messages();
    rest->message = {arrival.keep(), [&pool](Message* message) { pool.release(message); }};
    const View& view = shard().view();
    for (const routing::QueueIndex queue : route.queues.subspan(sent))
        rest->queues.push_back(view.queue(queue).id);
    rest->replies.assign(route.replies.begin(), route.replies.end());
    session_.go_on_later([this, rest] { go_on_spreading(rest); });
    rest->begun = true;
}

void Channel::go_on_spreading(const std::shared_ptr<Spread>& rest) {
    Arrival arrival(rest->message.get(), shard().messages());
    bool room = true;
    do {
        const QueueId id = rest->queues[rest->sent];
        const QueueInfo* const queue = shard().view().queue(id);
        if (queue != nullptr && queue->closed) {
            if (!room) session_.wait_for_room();
            return when_decided(id, protocol::basic::Publish::id, [this, rest] {
                go_on_spreading(rest);
                return Outcome{};
            });
        }
        if (queue != nullptr) {
            room = shard().enqueue(*queue, arrival) && room;
        } else if (arrival.stored() != 0) {  // deleted meanwhile
            shard().journal()->settle(stored_id(id), arrival.stored());
        }
        ++rest->sent;
    } while (rest->sent != rest->queues.size() && !shard().turn().is_over());
    if (!room) session_.wait_for_room();
    if (rest->sent != rest->queues.size())
        return session_.go_on_later([this, rest] { go_on_spreading(rest); });
    if (!rest->replies.empty()) send_replies(rest->message->publication(), rest->replies);
    count_publish();
}

}  // namespace trilby::broker
