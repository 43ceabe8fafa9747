// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/producer.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "bench/broker/frame_walk.hpp"
#include "bench/broker/stamp.hpp"
#include "protocol/methods.hpp"

namespace trilby::perf {

namespace {

constexpr std::size_t longest_write = 128 * 1024;

}  // namespace

Nanoseconds now() {
    return std::chrono::steady_clock::now().time_since_epoch().count();
}

Producer::Producer(client::Connection::Bare bare, const Scenario& scenario, std::uint32_t number,
                   PreparedMessages messages)
    : Link(std::move(bare)),
      number_(number),
      window_(scenario.confirm_window),
      rate_(scenario.rate),
      timed_(scenario.timed()),
      ping_pong_(scenario.ping_pong),
      messages_(std::move(messages)) {
    if (timed_) sent_at_.resize(window_);
}

void Producer::begin(Nanoseconds start, std::uint64_t limit) {
    start_ = start;
    before_phase_ = published_;
    target_ = limit == no_limit ? no_limit : published_ + limit;
}

std::uint64_t Producer::due_by(Nanoseconds time) const {
    return before_phase_ + static_cast<std::uint64_t>(static_cast<double>(time - start_) * rate_ / 1e9) + 1;
}

std::uint64_t Producer::allowance() const {
    std::uint64_t most = target_ - published_;
    if (window_ != 0) most = std::min(most, window_ - std::min(window_, published_ - confirmed_));
    if (ping_pong_) most = std::min<std::uint64_t>(most, 1);
    if (rate_ > 0 && most != 0) {
        const std::uint64_t due = due_by(now());
        most = std::min(most, due - std::min(due, published_));
    }
    return most;
}

bool Producer::may_send() const {
    return !wants_to_write() && (!unsent_.empty() || allowance() != 0);
}

Nanoseconds Producer::next_due() const {
    if (rate_ <= 0 || published_ == target_) return 0;
    return start_ + static_cast<Nanoseconds>(static_cast<double>(published_ - before_phase_) * 1e9 / rate_);
}

bool Producer::send_some(bool held) {
    if (wants_to_write()) return false;
    if (unsent_.empty()) {
        const std::uint64_t most = held ? 0 : allowance();
        if (most == 0) return false;
        const std::size_t first = next_message_;
        const Nanoseconds stamped_at = timed_ ? now() : 0;
        do {
            char* stamp = messages_.stamp(next_message_);
            Stamp::write(stamp, number_, published_);
            // Latency at a fixed rate counts from when the message was due: a late send must not hide it.
            if (timed_) Stamp::write_time(stamp, rate_ > 0 ? next_due() : stamped_at);
            if (!sent_at_.empty()) sent_at_[published_ % window_] = stamped_at;
            ++published_;
            ++next_message_;
        } while (next_message_ < messages_.count() && next_message_ - first < most &&
                 messages_.bytes(first, next_message_).size() < longest_write);
        unsent_ = messages_.bytes(first, next_message_);
        if (next_message_ == messages_.count()) next_message_ = 0;
    }
    unsent_.remove_prefix(send(unsent_));
    return true;
}

std::size_t Producer::handle(std::string_view bytes) {
    return walk_frames(bytes, [this](const protocol::FrameHead& head, std::string_view payload) {
        switch (static_cast<protocol::FrameType>(head.type)) {
            case protocol::FrameType::method: return method(head.channel, payload);
            case protocol::FrameType::header:  // of a returned message
            case protocol::FrameType::body:
            case protocol::FrameType::heartbeat: return;
        }
        fail("the broker sent a malformed frame");
    });
}

void Producer::method(std::uint16_t channel, std::string_view payload) {
    switch (method_code_of(payload)) {
        case method_code<protocol::basic::Ack>:
            if (payload.size() < 13) return fail("the broker sent a malformed basic.ack");
            return confirm(protocol::load_big_endian<std::uint64_t>(payload.data() + 4),
                           (payload[12] & 1) != 0);
        case method_code<protocol::basic::Nack>: return fail("the broker refused a message (basic.nack)");
        case method_code<protocol::basic::Return>: ++returned_; return;
        default: other_method(channel, payload);
    }
}

void Producer::confirm(std::uint64_t tag, bool multiple) {
    if (tag == 0 || tag > published_)
        return fail(fmt::format("the broker confirmed message {} of {}", tag, published_));
    if (!sent_at_.empty() && tag + window_ > published_)
        confirm_latency_.add(now() - sent_at_[(tag - 1) % window_]);
    if (multiple)
        confirmed_ += confirms_.add_all_below(tag);
    else if (confirms_.add(tag - 1))
        ++confirmed_;
    else
        fail(fmt::format("the broker confirmed message {} twice", tag));
}

}  // namespace trilby::perf
