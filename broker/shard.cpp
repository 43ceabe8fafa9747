// SPDX-License-Identifier: Apache-2.0
#include "broker/shard.hpp"

#include <algorithm>

#include "broker/channel.hpp"
#include "broker/session.hpp"

namespace trilby::broker {

namespace {
/// So many items of a road are handled before the next one has its turn.
constexpr std::size_t mail_budget = 4096;
constexpr std::size_t least_cached_blocks = 8;
}  // namespace

Shard::Shard(ShardIndex index, const Settings& settings, std::size_t shards)
    : index_(index),
      settings_(settings),
      messages_(index),
      bodies_(messages_,
              {.memory = settings.backlog_memory / shards,
               .cache_blocks =
                   std::max(least_cached_blocks, settings.backlog_cache / BlockCache::block_size / shards)}),
      sessions_(index),
      consumers_(index) {
    if (index == 0) catalog_ = std::make_unique<Catalog>(*this, shards);
    outgoing_.resize(shards);
    incoming_.resize(shards);
    for (std::size_t other = 0; other < shards; ++other)
        if (other != index)
            outgoing_[other] = std::make_unique<Road>(settings.mailbox_items, settings.mailbox_octets);
}

Shard::~Shard() = default;

void Shard::clear() {
    queues_.clear();
    own_letters_.clear();
    for (Road* road : incoming_)
        while (road != nullptr && (road->publish() || road->has_mail()))
            road->drain(SIZE_MAX, [&](const Mail& mail) {
                if (mail.kind == Mail::Kind::letter) {
                    delete mail.letter();
                } else if (mail.block != nullptr) {
                    messages_.release(mail.message());
                }
            });
    messages_.flush();
}

void Shard::connect(const std::vector<Shard*>& shards) {
    shards_ = shards;
    std::vector<MessagePool*> pools;
    for (Shard* shard : shards) {
        pools.push_back(&shard->messages_);
        if (shard != this) incoming_[shard->index_] = shard->outgoing_[index_].get();
    }
    messages_.know(std::move(pools));
}

ConnectionId Shard::add_session(Session& session) {
    return sessions_.insert(&session);
}
void Shard::remove_session(ConnectionId id) {
    sessions_.take(id);
}
void Shard::touch(Session& session) {
    loop_->touched(session);
}

// ---- Roads.

void Shard::send(ShardIndex shard, const Mail& mail, std::uint64_t octets) {
    road_to(shard).push(mail, octets);
}

void Shard::send_letter(ShardIndex shard, Letter letter) {
    if (shard == index_) {
        own_letters_.push_back(std::move(letter));
        return;
    }
    send(shard, {.kind = Mail::Kind::letter, .block = new Letter(std::move(letter))});
}

bool Shard::take_mail(std::span<const std::size_t> limits) {
    const auto limit = [&](ShardIndex from) { return limits.empty() ? mail_budget : limits[from]; };
    bool some = false;
    const std::size_t own =
        limits.empty() ? own_letters_.size() : std::min(own_letters_.size(), limits[index_]);
    for (std::size_t left = own; left != 0; --left) {
        Letter letter = std::move(own_letters_.front());
        own_letters_.pop_front();
        open(letter);
        some = true;
    }
    bool drained = false;
    for (std::size_t other = 0; other < incoming_.size(); ++other) {
        Road* road = incoming_[other];
        if (road != nullptr && road->drain(limit(static_cast<ShardIndex>(other)),
                                           [this](const Mail& mail) { receive(mail); }) != 0)
            drained = true;
    }
    if (drained) {
        // What was taken must be seen by a sender that is about to sleep, or its wish must be seen here.
        std::atomic_thread_fence(std::memory_order_seq_cst);
        for (std::size_t other = 0; other < incoming_.size(); ++other)
            if (incoming_[other] != nullptr && incoming_[other]->sender_waits())
                shards_[other]->wake_if_asleep();
    }
    if (catalog_ != nullptr) catalog_->work();
    if (journal_ != nullptr && journal_->moved()) {
        look_at_journal();
        some = true;
    }
    if (bodies_.moved()) {
        look_at_disk();
        some = true;
    }
    return some || drained;
}

void Shard::restore(QueueId id, std::uint64_t stored, bool redelivered) {
    near_queue(id)->restore(bodies_.restore(stored), redelivered);
}

void Shard::confirm_when_safe(ConnectionId session, std::uint16_t channel, std::uint64_t serial,
                              DeliveryTag tag) {
    confirms_.push_back({journal_->publish_position(), session, channel, serial, tag});
}

void Shard::look_at_journal() {
    journal_->look();
    const std::uint64_t publishes = journal_->safe_publishes();
    for (; !confirms_.empty() && confirms_.front().position <= publishes; confirms_.pop_front()) {
        const WaitingConfirm& first = confirms_.front();
        Session* session = sessions_.find(first.session);
        Channel* channel = session == nullptr ? nullptr : session->find_channel(first.channel);
        if (channel != nullptr && channel->serial() == first.serial) channel->confirm_to(first.tag);
    }
    const std::uint64_t settles = journal_->safe_settles();
    for (; !commits_.empty() && commits_.front().position <= settles; commits_.pop_front())
        reply(commits_.front().reply_to, {});
}

void Shard::look_at_disk() {
    bodies_.look();
    for (const QueueId id : std::exchange(waiting_for_disk_, {}))
        if (Queue* queue = near_queue(id)) queue->look_again();
    for (letter::ToQueue& get : std::exchange(gets_waiting_for_disk_, {}))
        answer_question(get.queue, get.question, get.reply_to);
}

void Shard::end_turn() {
    messages_.flush();
    if (journal_ != nullptr) journal_->flush();
    bool stalled = false;
    bool news = false;
    std::uint64_t wake = 0;
    for (std::size_t other = 0; other < outgoing_.size(); ++other) {
        Road* road = outgoing_[other].get();
        if (road == nullptr) continue;
        if (road->publish()) {
            news = true;
            wake |= std::uint64_t{1} << other;
        }
        stalled = stalled || road->stalled();
    }
    if (news) {
        std::atomic_thread_fence(std::memory_order_seq_cst);
        for (std::size_t other = 0; wake != 0; ++other, wake >>= 1)
            if (wake & 1) shards_[other]->wake_if_asleep();
    }
    // A broker that stops takes no publish any more: nobody has to wait for a journal that may have failed.
    if (!stalled && !waiting_for_room_.empty() && (stopping_ || journal_ == nullptr || !journal_->full())) {
        const std::vector<ConnectionId> resumed = std::move(waiting_for_room_);
        waiting_for_room_.clear();
        for (const ConnectionId id : resumed)
            if (Session* session = sessions_.find(id)) session->room_made();
    }
}

bool Shard::has_mail() const {
    if (!own_letters_.empty() || (journal_ != nullptr && journal_->moved()) || bodies_.moved()) return true;
    for (const Road* road : incoming_)
        if (road != nullptr && road->has_mail()) return true;
    for (const auto& road : outgoing_)
        if (road != nullptr && road->room_for_waiting()) return true;
    return false;
}

void Shard::wake_if_asleep() {
    if (asleep_.load(std::memory_order_relaxed) && asleep_.exchange(false)) loop_->wake();
}

// ---- Speaking to queues.

bool Shard::enqueue_far(const QueueInfo& queue, Arrival& arrival) {
    Message* message = arrival.keep();
    Road& road = road_to(queue.home);
    road.push({.kind = Mail::Kind::enqueue, .queue = queue.id, .block = message}, message->weight());
    return !road.stalled();
}

void Shard::settle(const Origin& origin, EntryNumber first, std::uint32_t count, Settlement settlement) {
    if (origin.home == index_) {
        if (Queue* queue = near_queue(origin.queue)) queue->settle(origin.id, first, count, settlement);
        return;
    }
    send(origin.home, {.kind = Mail::Kind::settle,
                       .settlement = settlement,
                       .count = count,
                       .queue = origin.queue,
                       .consumer = origin.id,
                       .number = first});
}

void Shard::open_window(const Origin& origin, std::int64_t octets) {
    if (origin.home == index_) {
        if (Queue* queue = near_queue(origin.queue)) queue->open_window(origin.id, octets);
        return;
    }
    send(origin.home, {.kind = Mail::Kind::window,
                       .queue = origin.queue,
                       .consumer = origin.id,
                       .number = static_cast<std::uint64_t>(octets)});
}

void Shard::grant(const Origin& origin, std::uint32_t messages) {
    if (origin.home == index_) {
        if (Queue* queue = near_queue(origin.queue)) queue->grant(origin.id, messages);
        return;
    }
    send(origin.home,
         {.kind = Mail::Kind::grant, .count = messages, .queue = origin.queue, .consumer = origin.id});
}

void Shard::limit_by_grants(const Origin& origin, bool granted) {
    if (origin.home == index_) {
        if (Queue* queue = near_queue(origin.queue)) queue->limit_by_grants(origin.id, granted);
        return;
    }
    send(origin.home,
         {.kind = Mail::Kind::limit, .flag = granted, .queue = origin.queue, .consumer = origin.id});
}

void Shard::ask_queue(const QueueInfo& queue, QueueQuestion question, ReplyTo reply_to) {
    ask_queue(queue.home, queue.id, std::move(question), reply_to);
}

void Shard::ask_queue(ShardIndex home, QueueId queue, QueueQuestion question, ReplyTo reply_to) {
    // A near queue is asked on the spot, for calls and questions must keep their order; the answer comes
    // later all the same.
    if (home == index_) {
        answer_question(queue, question, reply_to);
    } else {
        send_letter(home, letter::ToQueue{queue, std::move(question), reply_to});
    }
}

void Shard::ask_catalog(CatalogRequest request, ReplyTo reply_to) {
    send_letter(0, letter::ToCatalog{std::move(request), reply_to});
}

void Shard::finish_own_queue(QueueId id, ReplyTo reply_to) {
    Queue* queue = near_queue(id);
    if (queue == nullptr || queue->stopped()) {
        ask_catalog(request::DeleteQueue{id}, reply_to);
    } else {
        finish_queue(*queue, reply_to);
    }
}

void Shard::finish_queue(Queue& queue, ReplyTo reply_to) {
    const std::uint32_t messages = queue.ready();
    queue.stop();
    ask_catalog(request::DeleteQueue{queue.id(), messages}, reply_to);
}

void Shard::direct_reply(ConnectionId connection, std::uint16_t channel, std::uint64_t secret,
                         Arrival& arrival) {
    if (shard_of(connection) >= shards_.size()) return;
    send_letter(shard_of(connection), letter::DirectReply{connection, channel, secret, arrival.keep()});
}

void Shard::find_direct_reply(ConnectionId connection, std::uint16_t channel, std::uint64_t secret,
                              ReplyTo reply_to) {
    if (shard_of(connection) >= shards_.size()) {
        reply(reply_to, {.status = Answer::Status::gone});
    } else {
        send_letter(shard_of(connection), letter::FindDirectReply{connection, channel, secret, reply_to});
    }
}

// ---- What queues say.

void Shard::deliver(Consumer& consumer, QueueId queue, Arrival& arrival, EntryNumber entry,
                    bool redelivered) {
    if (consumer.near != nullptr)
        return consumer.near->channel->deliver(*consumer.near, arrival, entry, redelivered);
    Message* const message = arrival.keep();
    send(shard_of(consumer.id),
         {.kind = Mail::Kind::deliver,
          .flag = redelivered,
          .queue = queue,
          .consumer = consumer.id,
          .number = entry,
          .block = message},
         message->weight());
}

void Shard::ask_grant(Consumer& consumer) {
    if (consumer.near != nullptr) {
        consumer.near->channel->wants_grant(*consumer.near);
    } else {
        send(shard_of(consumer.id), {.kind = Mail::Kind::wants_grant, .consumer = consumer.id});
    }
}

void Shard::return_grant(Consumer& consumer, std::int64_t messages) {
    if (consumer.near != nullptr) {
        consumer.near->channel->grant_returned(*consumer.near, messages);
    } else {
        send(shard_of(consumer.id), {.kind = Mail::Kind::returned_grant,
                                     .count = static_cast<std::uint32_t>(messages),
                                     .consumer = consumer.id});
    }
}

void Shard::consumer_lost_queue(Consumer& consumer) {
    if (consumer.near != nullptr) consumer.near->forget_queue();
    send_letter(shard_of(consumer.id), letter::QueueGone{consumer.id});
}

void Shard::queue_finished(QueueId queue) {
    ask_catalog(request::DeleteQueue{queue}, {});
}

void Shard::reply(ReplyTo to, const Answer& answer) {
    if (to.connection != ConnectionId{}) send_letter(shard_of(to.connection), letter::Reply{to, answer});
}

void Shard::tell(ShardIndex shard, std::shared_ptr<const ChangeSet> changes) {
    send_letter(shard, letter::Apply{std::move(changes)});
}

void Shard::apply(const ChangeSet& changes) {
    for (const Change& change : changes) {
        if (const auto* deleted = std::get_if<change::DeleteQueue>(&change)) {
            if (Queue* queue = near_queue(deleted->id)) {
                if (!queue->stopped()) queue->stop();
                queues_[slot_of(deleted->id)].reset();
            }
        }
        view_.apply(change);
        const auto* declared = std::get_if<change::DeclareQueue>(&change);
        if (declared == nullptr || declared->home != index_) continue;
        const std::uint32_t slot = slot_of(declared->id);
        if (queues_.size() <= slot) queues_.resize(slot + 1);
        queues_[slot] =
            std::make_unique<Queue>(*this, declared->id, declared->auto_delete, declared->durable);
        view_.mutable_queue(declared->id)->near = queues_[slot].get();
    }
}

}  // namespace trilby::broker
