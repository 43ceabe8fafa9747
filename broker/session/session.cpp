// SPDX-License-Identifier: Apache-2.0
#include "broker/session/session.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "broker/session/channel.hpp"
#include "protocol/room.hpp"

namespace trilby::broker {

namespace connection = protocol::connection;

namespace {
/// Ticks come four times a second, so what is nearly due is due.
constexpr std::chrono::milliseconds tick_slack{300};
}  // namespace

Session::Session(Shard& shard, Peer peer, SessionHost& loop)
    : shard_(shard),
      host_(loop),
      peer_(std::move(peer)),
      since_(shard.now()),
      life_(shard.now() + shard.settings().handshake_timeout),
      frame_max_(protocol::frame_min_size),
      output_(shard.chunks(), shard.messages()) {
    id_ = shard.add_resident(*this);
}

Session::~Session() {
    shard_.remove_resident(id_);
}

// ---- Input and what holds it back.

void Session::on_bytes(std::string_view bytes) {
    shard_.turn().begin_share();
    take_bytes(bytes);
}

void Session::take_bytes(std::string_view bytes) {
    received_ = true;
    parsing_ = true;
    const std::size_t used = parse(bytes);
    parsing_ = false;
    if (life_.deaf()) {
        tail_.clear();
    } else if (used != bytes.size()) {
        tail_.assign(bytes.substr(used));
    } else if (!tail_.empty()) {
        std::string().swap(tail_);
    }
    if (output_.owed() > shard_.settings().reply_limit) set_gate(Gate::replies, true);
}

void Session::read_on() {
    if (parsing_ || tail_.empty() || !wants_input()) return;
    const std::string bytes = std::move(tail_);
    tail_.clear();
    take_bytes(bytes);
}

void Session::set_gate(Gate gate, bool shut) {
    const std::uint8_t before = gates_;
    gates_ = static_cast<std::uint8_t>(shut ? gates_ | gate : gates_ & ~gate);
    if (before == gates_) return;
    touch();
    if (gates_ == 0) read_on();
}

void Session::wait_for_room() {
    if ((gates_ & Gate::room) != 0) return;
    set_gate(Gate::room, true);
    shard_.wait_for_room(id_);
}

void Session::turn_came() {
    set_gate(Gate::turn, false);
}

void Session::room_made() {
    set_gate(Gate::room, false);
}

void Session::block() {
    if (peer_takes_blocked_ && !blocked_sent_) {
        const letter::Alarm& raised = shard_.alarm();
        send(0, connection::Blocked{.reason = raised.memory && raised.disk ? "low on disk & memory"
                                              : raised.disk                ? "low on disk"
                                                                           : "low on memory"});
    }
    blocked_sent_ = true;
    set_gate(Gate::alarm, true);
}

void Session::alarm_changed() {
    // Who waits for a confirm that the disk cannot give is told at once: it may not publish before it has it.
    // Who is in the midst of a content would go on with it.
    if (shard_.alarm().raised() && life_.running() &&
        std::any_of(channels_.begin(), channels_.end(), [&](const auto& one) {
            return one.second->has_part_of_content() || (shard_.alarm().disk && one.second->awaits_disk());
        }))
        block();
    if (shard_.alarm().raised() || !blocked_sent_) return;
    blocked_sent_ = false;
    if (peer_takes_blocked_ && life_.running()) send(0, connection::Unblocked{});
    set_gate(Gate::alarm, false);
}

std::size_t Session::unfinished() const {
    std::size_t octets = 0;
    for (const auto& [number, channel] : channels_) octets += channel->unfinished();
    return octets;
}

void Session::drop_unfinished(std::size_t least) {
    const std::size_t octets = unfinished();
    if (octets < least) return;
    close_connection(
        protocol::ConnectionReply::resource_error,
        fmt::format("memory stays low, and this connection holds {} octets of messages that are not finished",
                    octets));
}

bool Session::takes_direct_reply() {
    const Settings& settings = shard_.settings();
    const std::size_t most = shard_.alarm().memory ? settings.reply_limit : settings.direct_reply_limit;
    if (output_.owed() <= most) return true;
    if (dropped_replies_++ == 0)
        spdlog::warn("connection {} does not read: direct replies to it are dropped", name());
    return false;
}

void Session::log_dropped_replies() {
    if (dropped_replies_ != 0)
        spdlog::warn("connection {}: {} direct replies were dropped", name(), dropped_replies_);
    dropped_replies_ = 0;
}

void Session::hold_consumers() {
    full_ = true;
    for (const auto& [number, channel] : channels_) channel->hold_consumers(true);
}

void Session::on_output_sent(std::size_t octets) {
    if (octets != 0) last_sent_ = shard_.now();
    if (full_ && output_.size() < shard_.settings().output_limit / 2) {
        full_ = false;
        for (const auto& [number, channel] : channels_) {
            if (full_) break;  // the first ones filled it again
            channel->hold_consumers(false);
        }
    }
    if (output_.owed() >= shard_.settings().reply_limit / 2) return;
    log_dropped_replies();
    set_gate(Gate::replies, false);
}

void Session::finish_turn() {
    for (Channel* channel : confirming_) channel->confirm();
    confirming_.clear();
}

void Session::confirm_at_end_of_turn(Channel& channel) {
    confirming_.push_back(&channel);
    touch();
}

// The disk answers in the order in which it is asked.
void Session::confirm_when_safe(Channel& channel, DeliveryTag tag) {
    unsafe_.push_back({channel.number(), channel.serial(), tag});
    Undo not_asked([this] { unsafe_.pop_back(); });
    shard_.tell_when_publishes_are_safe({.asker = id_});
    not_asked.keep();
}

void Session::confirm_first_of_unsafe() {
    const Unsafe first = unsafe_.front();
    Channel* const channel = find_channel(first.channel);
    if (channel != nullptr && channel->serial() == first.serial) channel->confirm_to(first.tag);
    unsafe_.pop_front();
}

bool Session::takes_replies(const ReplyAddress& address) {
    const Channel* const channel = find_channel(address.channel);
    return channel != nullptr && channel->consumes_replies(address.secret);
}

bool Session::take_reply(const ReplyAddress& address, Message& message) {
    Channel* const channel = find_channel(address.channel);
    return channel != nullptr && channel->deliver_direct_reply(address.secret, message);
}

// ---- Questions.

ReplyTo Session::open_question(Channel* channel, protocol::MethodId cause, Continuation then) {
    const std::uint32_t number = ++next_question_;
    const std::uint16_t channel_number = channel == nullptr ? std::uint16_t{0} : channel->number();
    questions_.emplace(number, Question{channel_number, cause, std::move(then)});
    set_gate(Gate::question, true);
    return {id_, number};
}

void Session::close_question(std::uint32_t number) {
    questions_.erase(number);
    if (questions_.empty()) gates_ = static_cast<std::uint8_t>(gates_ & ~Gate::question);
}

void Session::answered(std::uint32_t number, const Answer& answer) {
    if (std::holds_alternative<answer::Safe>(answer)) return confirm_first_of_unsafe();
    const auto found = questions_.find(number);
    if (found == questions_.end()) return;
    const Question asked = std::move(found->second);
    // It stays open while its answer is dealt with, so that nothing else begins in between.
    try {
        take_answer(asked, answer);
    } catch (...) {
        close_question(number);
        throw;
    }
    questions_.erase(number);
    if (gives_up_queues_) give_up_queues();
    if (!questions_.empty()) return;
    while (questions_.empty() && !after_answers_.empty()) {
        const auto after = std::move(after_answers_.front());
        after_answers_.pop_front();
        after();
    }
    go_on_ending();
    if (questions_.empty()) set_gate(Gate::question, false);
    touch();
}

void Session::take_answer(const Question& asked, const Answer& answer) {
    if (is_refused(answer, Refusal::not_stored)) {
        close_connection(protocol::ConnectionReply::internal_error, "the change cannot be stored",
                         asked.cause);
    } else if (is_refused(answer, Refusal::failed)) {
        close_connection(protocol::ConnectionReply::internal_error, "", asked.cause);
    } else if (is_refused(answer, Refusal::no_room)) {
        close_connection(protocol::ConnectionReply::resource_error,
                         "there is no number left for another queue, exchange or binding", asked.cause);
    } else if (auto outcome = asked.then(answer); !outcome) {
        raise(find_channel(asked.channel), outcome.error(), asked.cause);
    }
}

void Session::when_answered(std::function<void()> then) {
    if (questions_.empty() && after_answers_.empty()) {
        then();
    } else {
        after_answers_.push_back(std::move(then));
    }
}

void Session::go_on_later(std::function<void()> then) {
    if (questions_.empty())  // it asks itself, and is answered in its turn
        ask(
            nullptr, {}, [](const Answer&) { return protocol::Outcome<>{}; },
            [this](ReplyTo to) { shard_.reply(to, answer::Done{}); });
    after_answers_.push_back(std::move(then));
}

void Session::disown_exclusive_queue(QueueId queue) {
    std::erase(exclusive_queues_, queue);
}

// ---- Channels.

Channel* Session::look_for_channel(std::uint16_t number) {
    const auto found = channels_.find(number);
    if (found == channels_.end()) return nullptr;
    last_number_ = number;
    last_channel_ = found->second.get();
    return last_channel_;
}

void Session::forget_channel(std::uint16_t number) {
    const auto found = channels_.find(number);
    if (found == channels_.end()) return;
    if (last_number_ == number) last_channel_ = nullptr;
    std::erase(confirming_, found->second.get());
    delivered_ += found->second->deliveries();
    channels_.erase(found);
}

// ---- Time.

std::chrono::milliseconds Session::timeout_check_interval() const {
    constexpr std::chrono::milliseconds longest = std::chrono::seconds{60};
    const auto timeout = shard_.settings().consumer_timeout;
    return timeout.count() == 0 ? longest : std::min(longest, timeout);
}

Shard::Time Session::next_tick() const {
    if (life_.stage() == Stage::ending || life_.stage() == Stage::giving_up) return shard_.now();
    Shard::Time next = life_.deadline();
    if (life_.deaf()) return next;
    if (waiting_login_) next = std::min(next, waiting_login_->at);
    if (heartbeat_ != 0) next = std::min({next, next_heartbeat_, next_check_});
    if (life_.running()) next = std::min(next, next_timeout_check_);
    return next;
}

void Session::on_tick() {
    const Shard::Time now = shard_.now();
    log_in_when_due();
    if (life_.deaf()) {
        if (life_.expired(now)) deadline_passed(output_.empty());
        return;
    }
    // Something may have been lacking when it was tried.
    if (life_.stage() == Stage::ending || life_.stage() == Stage::giving_up) go_on_ending();
    const std::chrono::milliseconds interval = std::chrono::seconds{heartbeat_};
    const bool beating = heartbeat_ != 0;
    const bool taken = output_.empty();
    if (beating && now >= next_heartbeat_) {
        if (last_sent_ + interval / 2 <= now + tick_slack && output_.empty()) {
            scratch_.clear();
            protocol::append_heartbeat(scratch_);
            output_.append(scratch_);
            touch();
        }
        next_heartbeat_ += interval / 2;
    }
    if (life_.expired(now)) return deadline_passed(taken);
    if (beating && now >= next_check_) {
        silent_checks_ = received_ ? std::uint8_t{0} : static_cast<std::uint8_t>(silent_checks_ + 1);
        received_ = false;
        next_check_ = now + interval;
        if (silent_checks_ == 2) {
            say_end(log::Level::warning, fmt::format("missed heartbeats, timeout {} s", heartbeat_));
            on_peer_gone();
        }
    }
    if (life_.running() && now >= next_timeout_check_) {
        next_timeout_check_ = now + timeout_check_interval();
        for (const auto& [number, channel] : channels_) channel->check_consumer_timeout();
    }
}

}  // namespace trilby::broker
