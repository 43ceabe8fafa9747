// SPDX-License-Identifier: Apache-2.0
#include "broker/session.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "broker/channel.hpp"

namespace trilby::broker {

namespace connection = protocol::connection;

namespace {
/// Ticks come four times a second, so what is nearly due is due.
constexpr std::chrono::milliseconds tick_slack{300};
}  // namespace

Session::Session(Shard& shard, Peer peer)
    : shard_(shard),
      peer_(std::move(peer)),
      frame_max_(protocol::frame_min_size),
      deadline_(shard.now() + shard.settings().handshake_timeout),
      output_(shard.chunks(), shard.messages()) {
    id_ = shard.add_session(*this);
}

Session::~Session() {
    shard_.remove_session(id_);
}

std::string Session::name() const {
    const auto end = [](const std::string& address, std::uint16_t port) {
        return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                      : fmt::format("[{}]:{}", address, port);
    };
    std::string text =
        fmt::format("{} -> {}", end(peer_.address, peer_.port), end(peer_.local_address, peer_.local_port));
    return connection_name_.empty() ? text : fmt::format("{} - {}", text, connection_name_);
}

// ---- Input and what holds it back.

void Session::on_bytes(std::string_view bytes) {
    received_ = true;
    parsing_ = true;
    const std::size_t used = parse(bytes);
    parsing_ = false;
    if (stage_ == Stage::over || stage_ == Stage::dropping) {
        tail_.clear();
    } else if (used != bytes.size()) {
        tail_.assign(bytes.substr(used));
    } else if (!tail_.empty()) {
        std::string().swap(tail_);
    }
    if (output_.copied() > shard_.settings().reply_limit) set_gate(Gate::replies, true);
}

void Session::read_on() {
    if (parsing_ || tail_.empty() || !wants_input()) return;
    const std::string bytes = std::move(tail_);
    tail_.clear();
    on_bytes(bytes);
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
    if (shard_.alarm().disk && stage_ == Stage::running &&
        std::any_of(channels_.begin(), channels_.end(),
                    [](const auto& one) { return one.second->awaits_disk(); }))
        block();
    if (shard_.alarm().raised() || !blocked_sent_) return;
    blocked_sent_ = false;
    if (peer_takes_blocked_) send(0, connection::Unblocked{});
    set_gate(Gate::alarm, false);
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
    if ((gates_ & Gate::replies) != 0 && output_.copied() < shard_.settings().reply_limit / 2)
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

// ---- Questions.

ReplyTo Session::ask(Channel* channel, protocol::MethodId cause, Continuation then) {
    const std::uint32_t number = ++next_question_;
    const std::uint16_t channel_number = channel == nullptr ? std::uint16_t{0} : channel->number();
    questions_.push_back({number, channel_number, cause, std::move(then)});
    set_gate(Gate::question, true);
    return {id_, number};
}

void Session::on_answer(std::uint32_t number, const Answer& answer) {
    const auto found = std::find_if(questions_.begin(), questions_.end(),
                                    [&](const Question& one) { return one.number == number; });
    if (found == questions_.end()) return;
    const Question asked = std::move(*found);
    // It stays open while its answer is dealt with, so that nothing else begins in between.
    if (answer.status == Answer::Status::not_stored) {
        close_connection(protocol::ConnectionReply::internal_error, "the change cannot be stored",
                         asked.cause);
    } else if (auto outcome = asked.then(answer); !outcome)
        raise(find_channel(asked.channel), outcome.error(), asked.cause);
    std::erase_if(questions_, [&](const Question& one) { return one.number == number; });
    if (!questions_.empty()) return;
    while (questions_.empty() && !after_answers_.empty()) {
        const auto after = std::move(after_answers_.front());
        after_answers_.erase(after_answers_.begin());
        after();
    }
    if (questions_.empty()) set_gate(Gate::question, false);
    touch();
}

void Session::when_answered(std::function<void()> then) {
    if (questions_.empty() && after_answers_.empty()) {
        then();
    } else {
        after_answers_.push_back(std::move(then));
    }
}

void Session::disown_exclusive_queue(QueueId queue) {
    std::erase(exclusive_queues_, queue);
}

// ---- Channels.

Channel* Session::find_channel(std::uint16_t number) {
    if (last_channel_ != nullptr && last_channel_->number() == number) return last_channel_;
    const auto found = channels_.find(number);
    if (found == channels_.end()) return nullptr;
    last_channel_ = found->second.get();
    return last_channel_;
}

void Session::forget_channel(std::uint16_t number) {
    const auto found = channels_.find(number);
    if (found == channels_.end()) return;
    if (last_channel_ == found->second.get()) last_channel_ = nullptr;
    std::erase(confirming_, found->second.get());
    channels_.erase(found);
}

// ---- The end.

void Session::raise(Channel* channel, const protocol::Exception& exception, protocol::MethodId cause) {
    if (const auto* soft = std::get_if<protocol::ChannelException>(&exception)) {
        if (channel != nullptr) {
            channel->close(soft->code, soft->text, cause);
        } else {
            // A soft error on channel 0 closes the connection with the same code.
            close_connection(static_cast<protocol::ConnectionReply>(soft->code), soft->text, cause);
        }
        return;
    }
    const auto& hard = std::get<protocol::ConnectionException>(exception);
    close_connection(hard.code, hard.text, cause);
}

void Session::close_connection(protocol::ConnectionReply code, std::string_view text,
                               protocol::MethodId cause, Stage next) {
    if (stage_ >= Stage::refused) return;
    spdlog::warn("connection {} closed: {}", name(), protocol::reply_text(code, text));
    stage_ = Stage::closing;
    when_answered([this, code, text = std::string(text), cause, next] {
        end([this, code, text, cause, next] {
            if (peer_gone_) return finish();
            send(0, connection::Close{.reply_code = static_cast<std::uint16_t>(code),
                                      .reply_text = protocol::reply_text(code, text),
                                      .class_id = cause.class_id,
                                      .method_id = cause.method_id});
            stage_ = next;
            deadline_ = shard_.now() +
                        (next == Stage::dropping ? shard_.settings().failed_login_delay : close_timeout());
        });
    });
}

void Session::end(std::function<void()> after) {
    if (!ending_) {
        ending_ = true;
        finish_turn();
        for (const auto& [number, channel] : channels_) channel->give_up();
        const std::vector<QueueId> queues = std::move(exclusive_queues_);
        exclusive_queues_.clear();
        for (const QueueId queue : queues)
            shard_.finish_own_queue(queue,
                                    ask(nullptr, {}, [](const Answer&) { return protocol::Outcome<>{}; }));
    }
    when_answered(std::move(after));
}

void Session::on_peer_gone() {
    if (peer_gone_) return;
    peer_gone_ = true;
    output_.clear();
    when_answered([this] { end([this] { finish(); }); });
}

void Session::stop(bool journal_failed) {
    const bool told = stage_ == Stage::running || stage_ == Stage::open;
    if (told && journal_failed) {
        close_connection(protocol::ConnectionReply::internal_error,
                         "the journal has failed, no message can be stored");
    } else if (told) {
        close_connection(protocol::ConnectionReply::connection_forced,
                         "broker forced connection closure with reason 'shutdown'");
    } else if (stage_ == Stage::closing && waiting()) {
        deadline_ = shard_.now();  // its close is still to be sent
    } else {
        finish();
    }
}

void Session::finish() {
    stage_ = Stage::over;
    touch();
}

void Session::drop_after_delay() {
    stage_ = Stage::dropping;
    deadline_ = shard_.now() + shard_.settings().failed_login_delay;
    touch();
}

std::chrono::milliseconds Session::close_timeout() const {
    using std::chrono::seconds;
    if (shard_.stopping()) return seconds{1};
    return heartbeat_ == 0 ? seconds{30} : std::min(seconds{heartbeat_}, seconds{30});
}

// ---- Time.

std::chrono::milliseconds Session::timeout_check_interval() const {
    constexpr std::chrono::milliseconds longest = std::chrono::seconds{60};
    const auto timeout = shard_.settings().consumer_timeout;
    return timeout.count() == 0 ? longest : std::min(longest, timeout);
}

void Session::on_tick() {
    const Shard::Time now = shard_.now();
    if (stage_ == Stage::over) return;
    const std::chrono::milliseconds interval = std::chrono::seconds{heartbeat_};
    const bool beating = heartbeat_ != 0 && stage_ >= Stage::open && stage_ != Stage::dropping;
    if (beating && now >= next_heartbeat_) {
        if (last_sent_ + interval / 2 <= now + tick_slack && output_.empty()) {
            scratch_.clear();
            protocol::append_heartbeat(scratch_);
            output_.append(scratch_);
            touch();
        }
        next_heartbeat_ += interval / 2;
    }
    if (stage_ != Stage::running && now >= deadline_) {
        if (stage_ == Stage::closing && !questions_.empty()) return;  // its close is not even sent
        if (stage_ != Stage::closed) abrupt_ = stage_ < Stage::running;
        when_answered([this] { end([this] { finish(); }); });
        return;
    }
    if (beating && now >= next_check_) {
        // A peer that is not read cannot be heard.
        silent_checks_ =
            received_ || gates_ != 0 ? std::uint8_t{0} : static_cast<std::uint8_t>(silent_checks_ + 1);
        received_ = false;
        next_check_ = now + interval;
        if (silent_checks_ >= 2 && !peer_gone_) {
            spdlog::warn("connection {} closed: missed heartbeats, timeout {} s", name(), heartbeat_);
            on_peer_gone();
        }
    }
    if (stage_ == Stage::running && now >= next_timeout_check_) {
        next_timeout_check_ = now + timeout_check_interval();
        for (const auto& [number, channel] : channels_) channel->check_consumer_timeout();
    }
}

}  // namespace trilby::broker
