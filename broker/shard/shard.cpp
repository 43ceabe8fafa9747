// SPDX-License-Identifier: Apache-2.0
#include "broker/shard/shard.hpp"

#include <algorithm>
#include <thread>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "protocol/quoted.hpp"
#include "protocol/room.hpp"

namespace trilby::broker {

namespace {
/// So many items of a road are handled before the next one has its turn.
constexpr std::size_t mail_budget = 4096;
constexpr std::size_t least_cached_blocks = 8;
constexpr std::chrono::milliseconds pause_without_memory{1};
/// Between two looks at the watermarks; less would not be seen before the turn ends.
constexpr std::uint64_t least_between_looks = std::uint64_t{256} << 10;
constexpr std::uint64_t most_between_looks = std::uint64_t{16} << 20;
}  // namespace

Shard::Shard(ShardIndex index, const Settings& settings, std::size_t shards)
    : index_(index),
      settings_(settings),
      live_settings_(std::make_shared<const LiveSettings>(settings)),
      turn_(settings.turn_steps),
      messages_(index),
      bodies_(messages_,
              {.memory = settings.backlog_memory / shards,
               .cache_blocks =
                   std::max(least_cached_blocks, settings.backlog_cache / BlockCache::block_size / shards)}),
      residents_(index),
      consumers_(index),
      roads_(index, shards, settings) {
    if (index == 0)
        catalog_ = std::make_unique<Catalog>(Catalog::Home{.audience = *this,
                                                           .view = view_,
                                                           .turn = turn_,
                                                           .shard = index,
                                                           .shards = shards,
                                                           .held_memory = settings.held_memory});
    far_receivers_.resize(shards);
    for (std::size_t other = 0; other < shards; ++other)
        if (other != index)
            far_receivers_[other] =
                std::make_unique<FarReceiver>(roads_, static_cast<ShardIndex>(other), messages_);
}

Shard::~Shard() = default;

void Shard::clear() {
    queues_.clear();
    while (ended_ != nullptr) ended_ = std::move(ended_->next_ended());
    own_letters_.clear();
    roads_.clear(messages_);
    messages_.flush();
}

void Shard::connect(const std::vector<Shard*>& shards) {
    shards_ = shards;
    std::vector<MessagePool*> pools;
    std::vector<Roads*> roads;
    for (Shard* shard : shards) {
        pools.push_back(&shard->messages_);
        roads.push_back(&shard->roads_);
    }
    messages_.know(std::move(pools));
    roads_.connect(std::move(roads));
}

void Shard::say_refused_logins() {
    for (const auth::LoginThrottle::Sum& sum : logins_.sums(now_))
        spdlog::warn("{} more logins from {} were refused: {}", sum.failures, sum.network,
                     sum.user.empty() ? "unknown users" : fmt::format("user {}", protocol::quoted(sum.user)));
}

void Shard::send_letter(ShardIndex shard, Letter&& letter, std::uint64_t octets) {
    if (shard == index_) {
        own_letters_.push_back(std::move(letter));
        return;
    }
    auto owned = std::make_unique<Letter>();
    std::swap(*owned, letter);
    Undo not_sent([&] { std::swap(*owned, letter); });
    roads_.send(shard, {.kind = Mail::Kind::letter, .block = owned.get()}, octets);
    not_sent.keep();
    owned.release();
}

bool Shard::take_mail(std::span<const std::size_t> limits) {
    const auto limit = [&](ShardIndex from) { return limits.empty() ? mail_budget : limits[from]; };
    turn_.begin();
    bool some = go_on_in_line();
    // What finds no memory stays where it is, and is gone on with in the next turn.
    const auto try_to = [&](const auto& from, auto act) {
        try {
            return act();
        } catch (const std::bad_alloc&) {
            spdlog::error("shard {} lacks memory for what comes from {}; it tries again", index_, from);
            std::this_thread::sleep_for(pause_without_memory);
            return true;
        }
    };
    some = try_to("itself", [&] { return open_own_letters(limits.empty() ? SIZE_MAX : limits[index_]); }) ||
           some;
    if (queues_lack_memory_) {
        try_lacking_queues();
        some = true;
    }
    bool drained = false;
    for (std::size_t other = 0; other < roads_.shards(); ++other) {
        const auto from = static_cast<ShardIndex>(other);
        if (!roads_.come_from(from)) continue;
        turn_.begin_share(1);
        some = try_to(other,
                      [&] {
                          const auto enough = [this] { return turn_.is_over(); };
                          const auto accept = [this](const Mail& mail) { receive(mail); };
                          drained = roads_.drain(from, limit(from), accept, enough) != 0 || drained;
                          return false;
                      }) ||
               some;
    }
    if (drained) roads_.wake_who_waits();
    some = try_to("queues that end", [this] { return go_on_with_closings(); }) || some;
    if (catalog_ != nullptr) {
        turn_.begin_share(1);
        some = try_to("the catalog", [this] { return catalog_->work(); }) || some;
    }
    some = try_to("what is decided", [this] { return answer_decided(); }) || some;
    some = try_to("queues that have ended", [this] { return clear_ended(); }) || some;
    turn_.begin_share();
    const bool undone = std::exchange(disk_undone_, false);
    if (journal() != nullptr && (journal()->moved() || undone))
        some = try_to("the journal", [this] { return look_at_journal(); }) || some;
    if (bodies_.moved() || undone) some = try_to("the disk", [this] { return look_at_disk(); }) || some;
    return some || drained;
}

void Shard::try_lacking_queues() {
    queues_lack_memory_ = false;
    std::this_thread::sleep_for(pause_without_memory);
    for (const auto& queue : queues_)
        if (queue != nullptr && queue->lacks_memory()) queue->try_again();
}

void Shard::restore(QueueId id, std::uint64_t stored, bool redelivered) {
    near_queue(id)->restore(bodies_.restore(stored), redelivered);
}

bool Shard::look_at_journal() {
    Undo undone([this] { disk_undone_ = true; });
    journal()->look();
    disk_waits_.answer(
        journal()->safe_publishes(), [this](ReplyTo asker) { reply(asker, answer::Safe{}); },
        journal()->safe_settles(), [this](ReplyTo asker) { reply(asker, answer::Done{}); });
    undone.keep();
    return true;
}

bool Shard::look_at_disk() {
    Undo undone([this] { disk_undone_ = true; });
    bodies_.look();
    if (!bodies_.is_behind()) roads_.caught_up();
    for (const QueueId id : std::exchange(waiting_for_disk_, {}))
        if (Queue* queue = near_queue(id)) {
            try {
                queue->look_again();
            } catch (const std::exception& error) {
                spdlog::error("a queue cannot go on for now: {}", error.what());
            }
        }
    ask_again_from_disk();
    undone.keep();
    return true;
}

void Shard::ask_again_from_disk() {
    for (; !gets_waiting_for_disk_.empty(); gets_waiting_for_disk_.pop_front())
        send_letter(index_, letter::ToQueue(gets_waiting_for_disk_.front()));
}

void Shard::watch(const Watermarks& watermarks, std::function<void(letter::Alarm)> passed) {
    watermarks_ = &watermarks;
    passed_ = std::move(passed);
    next_look_ = 0;
}

void Shard::look_at_watermarks() {
    const Watermarks::Room room = watermarks_->room();
    // All shards together have taken a part of the room until each has looked again, even if what is received
    // takes twice as much in the end.
    const std::uint64_t share = std::min(room.memory, room.disk) / (4 * shards_.size());
    next_look_ = taken() + std::clamp(share, least_between_looks, most_between_looks);
    letter::Alarm found{.memory = alarm_.memory || room.memory == 0, .disk = alarm_.disk || room.disk == 0};
    if (found == alarm_) return;
    try {
        passed_(found);
    } catch (const std::bad_alloc&) {
        return;  // nobody would end it
    }
    open_one(found);
}

void Shard::end_turn() {
    if (taken() >= next_look_) look_at_watermarks();
    messages_.flush();
    if (journal() != nullptr) journal()->flush();
    roads_.publish();
    if (bodies_.is_behind()) roads_.set_behind();
    if (!waiting_for_room_.empty() && room_again()) {
        const std::vector<AskerId> resumed = std::move(waiting_for_room_);
        waiting_for_room_.clear();
        for (const AskerId id : resumed)
            if (Resident* resident = residents_.find(id)) guard(*resident, [&] { resident->room_made(); });
    }
}

bool Shard::open_own_letters(std::size_t most) {
    const std::size_t own = std::min(own_letters_.size(), most);
    for (std::size_t left = own; left != 0; --left) {
        turn_.spend(Turn::letter);
        turn_.begin_share(own);
        open_guarded(own_letters_.front());
        own_letters_.pop_front();
        if (!turn_.goes_on()) break;
    }
    return own != 0;
}

bool Shard::go_on_in_line() {
    const std::size_t parties = line_.size();
    for (std::size_t left = parties; left != 0 && turn_.line_goes_on(); --left) {
        turn_.spend(1);
        turn_.begin_share(parties);
        const AskerId next = line_.front();
        line_.pop_front();
        if (Resident* resident = residents_.find(next)) guard(*resident, [&] { resident->turn_came(); });
    }
    return parties != 0;
}

bool Shard::room_again() const {
    // A broker that stops takes no publish any more: nobody has to wait for a disk that may have failed.
    if (stopping_) return !roads_.some_stalled();
    return !roads_.some_hold_up() && (journal() == nullptr || !journal()->full()) && !bodies_.is_behind();
}

bool Shard::has_mail() const {
    if (!own_letters_.empty() || !line_.empty() || queues_lack_memory_ || !closings_due_.empty() ||
        some_decided_ || ended_ != nullptr || (catalog_ != nullptr && catalog_->has_work()) || disk_undone_ ||
        (journal() != nullptr && journal()->moved()) || bodies_.moved())
        return true;
    return (!waiting_for_room_.empty() && room_again()) || roads_.has_mail();
}

// ---- Speaking to queues.

bool Shard::enqueue_far(const QueueInfo& queue, Arrival& arrival) {
    Message* const message = arrival.keep();
    Undo not_sent([&] { messages_.release(message); });
    roads_.send(queue.home, {.kind = Mail::Kind::enqueue, .queue = queue.id, .block = message},
                message->weight());
    not_sent.keep();
    return !roads_.hold_up(queue.home);
}

void Shard::settle(const QueueEnd& end, EntryNumber first, std::uint32_t count, Settlement settlement) {
    if (end.home == index_) {
        if (Queue* queue = near_queue(end.queue)) queue->settle(end.consumer, first, count, settlement);
        return;
    }
    roads_.send(end.home, {.kind = Mail::Kind::settle,
                           .settlement = settlement,
                           .count = count,
                           .queue = end.queue,
                           .consumer = end.consumer,
                           .number = first});
}

void Shard::open_window(const QueueEnd& end, std::int64_t octets) {
    if (end.home == index_) {
        if (Queue* queue = near_queue(end.queue)) queue->open_window(end.consumer, octets);
        return;
    }
    roads_.send(end.home, {.kind = Mail::Kind::window,
                           .queue = end.queue,
                           .consumer = end.consumer,
                           .number = static_cast<std::uint64_t>(octets)});
}

void Shard::grant(const QueueEnd& end, std::uint32_t messages) {
    if (end.home == index_) {
        if (Queue* queue = near_queue(end.queue)) queue->grant(end.consumer, messages);
        return;
    }
    roads_.send(end.home,
                {.kind = Mail::Kind::grant, .count = messages, .queue = end.queue, .consumer = end.consumer});
}

void Shard::limit_by_grants(const QueueEnd& end, bool granted) {
    if (end.home == index_) {
        if (Queue* queue = near_queue(end.queue)) queue->limit_by_grants(end.consumer, granted);
        return;
    }
    roads_.send(end.home,
                {.kind = Mail::Kind::limit, .flag = granted, .queue = end.queue, .consumer = end.consumer});
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

bool Shard::direct_reply(const ReplyAddress& address, Arrival& arrival, ReplyTo reply_to) {
    const ShardIndex there = shard_of(address.connection);
    if (there >= shards_.size()) {
        reply(reply_to, answer::Refused{Refusal::gone});
        return true;
    }
    send_letter(there, letter::DirectReply{address, Held(arrival.keep(), messages_), reply_to},
                arrival.weight());
    return there == index_ || !roads_.stalled(there);
}

void Shard::find_direct_reply(const ReplyAddress& address, ReplyTo reply_to) {
    if (shard_of(address.connection) >= shards_.size())
        return reply(reply_to, answer::Refused{Refusal::gone});
    send_letter(shard_of(address.connection), letter::FindDirectReply{address, reply_to});
}

// ---- What queues say.

void Shard::tell_queue_gone(ConsumerId consumer) {
    send_letter(shard_of(consumer), letter::QueueGone{consumer});
}

void Shard::reply(ReplyTo to, Answer&& answer) {
    if (to.asker == AskerId{}) return;
    Letter letter = letter::Reply{to, {}};
    std::swap(std::get<letter::Reply>(letter).answer, answer);
    Undo not_sent([&] { std::swap(std::get<letter::Reply>(letter).answer, answer); });
    send_letter(shard_of(to.asker), std::move(letter));
    not_sent.keep();
}

void Shard::tell(ShardIndex shard, std::shared_ptr<const ChangeSet> changes) {
    send_letter(shard, letter::Apply{std::move(changes)});
}

bool Shard::apply(std::span<const Change> changes, std::size_t& applied) {
    while (tidy()) {
        if (applied == changes.size()) return true;
        apply_one(changes[applied]);
        ++applied;
        turn_.spend(Turn::change);
        if (turn_.is_over() && applied != changes.size()) return false;
    }
    return false;
}

bool Shard::tidy() {
    constexpr std::size_t at_once = 16;
    while (!view_.tidy(at_once)) {
        turn_.spend(at_once * Turn::binding);
        if (turn_.is_over()) return false;
    }
    return true;
}

void Shard::apply_one(const Change& change) {
    if (const auto* closed = std::get_if<change::CloseQueue>(&change)) {
        const QueueInfo* const queue = view_.queue(closed->id);
        if (queue != nullptr) send_letter(queue->home, letter::Closed{queue->id});
    }
    const auto* declared = std::get_if<change::DeclareQueue>(&change);
    if (declared == nullptr) {
        view_.apply(change);
        if (const auto* deleted = std::get_if<change::DeleteQueue>(&change))
            if (near_queue(deleted->id) != nullptr) put_away(queues_[slot_of(deleted->id)]);
        some_decided_ = some_decided_ || !undecided_.empty();
        return;
    }
    const std::uint32_t slot = slot_of(declared->id);
    if (queues_.size() <= slot) queues_.resize(slot + 1);  // it may come here one day
    if (declared->home != index_) return view_.apply(change);
    auto queue = std::make_unique<Queue>(queue_home_, declared->id, declared->auto_delete, declared->durable);
    view_.apply(change);
    view_.mutable_queue(declared->id)->near = queue.get();
    queues_[slot] = std::move(queue);
}

void Shard::put_away(std::unique_ptr<Queue>& queue) {
    queue->stop();
    queue->next_ended() = std::move(ended_);
    ended_ = std::move(queue);
}

bool Shard::clear_ended() {
    if (ended_ == nullptr) return false;
    turn_.begin_share(1);
    while (ended_ != nullptr && ended_->clear()) {
        ended_ = std::move(ended_->next_ended());
        if (turn_.is_over()) break;
    }
    return true;
}

}  // namespace trilby::broker
