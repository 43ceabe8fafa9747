// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/consumer.hpp"

#include <utility>

#include "bench/broker/frame_walk.hpp"
#include "bench/broker/producer.hpp"
#include "protocol/methods.hpp"

namespace trilby::perf {

Consumer::Consumer(client::Connection::Bare bare, const Scenario& scenario, std::vector<std::size_t> queues,
                   std::size_t first_stream, Arrivals& arrivals)
    : Link(std::move(bare)),
      size_(scenario.size),
      acknowledge_(scenario.acknowledge),
      timed_(scenario.timed()),
      first_stream_(first_stream),
      arrivals_(arrivals) {
    for (const std::size_t queue : queues) streams_.push_back({.queue = queue});
}

std::size_t Consumer::handle(std::string_view bytes) {
    if (timed_) read_at_ = now();
    return walk_frames(
        bytes, [this](const protocol::FrameHead& head, std::string_view payload) { frame(head, payload); });
}

void Consumer::frame(const protocol::FrameHead& head, std::string_view payload) {
    const std::size_t index = std::size_t{head.channel} - 1;  // channel 0 is beyond the end
    if (static_cast<protocol::FrameType>(head.type) == protocol::FrameType::heartbeat) return;
    if (index >= streams_.size()) {
        if (static_cast<protocol::FrameType>(head.type) == protocol::FrameType::method)
            return other_method(head.channel, payload);
        return fail("the broker sent a malformed frame");
    }
    Stream& stream = streams_[index];
    switch (static_cast<protocol::FrameType>(head.type)) {
        case protocol::FrameType::method: return deliver(stream, head.channel, payload);
        case protocol::FrameType::header: header(stream, payload); break;
        case protocol::FrameType::body: body(stream, index, payload); break;
        default: return fail("the broker sent a malformed frame");
    }
    if (stream.body_left == 0) message_complete(stream, head.channel);
}

void Consumer::deliver(Stream& stream, std::uint16_t channel, std::string_view payload) {
    if (method_code_of(payload) != method_code<protocol::basic::Deliver>)
        return other_method(channel, payload);
    const std::size_t tag_at =
        payload.size() > 5 ? 5 + static_cast<unsigned char>(payload[4]) : payload.size();
    if (stream.header_due || stream.body_left != 0 || payload.size() < tag_at + 9)
        return fail("the broker sent a delivery where none was due");
    const auto tag = protocol::load_big_endian<std::uint64_t>(payload.data() + tag_at);
    if (tag != ++stream.last_tag) return fail("the broker left out or repeated a delivery tag");
    stream.header_due = true;
}

void Consumer::header(Stream& stream, std::string_view payload) {
    if (!stream.header_due || payload.size() < 12)
        return fail("the broker sent a content header where none was due");
    stream.header_due = false;
    stream.stamp_due = true;
    stream.body_left = protocol::load_big_endian<std::uint64_t>(payload.data() + 4);
    if (stream.body_left != size_) arrivals_.checker->damaged(stream.queue);
}

void Consumer::body(Stream& stream, std::size_t index, std::string_view payload) {
    if (payload.size() > stream.body_left || payload.empty())
        return fail("the broker sent a body of the wrong size");
    stream.body_left -= payload.size();
    const std::size_t stamped = timed_ ? Stamp::size_with_time : Stamp::size;
    if (std::exchange(stream.stamp_due, false)) {
        if (payload.size() < stamped) return arrivals_.checker->damaged(stream.queue);
        arrivals_.checker->arrived(first_stream_ + index, stream.queue, Stamp::read(payload.data()));
        if (timed_) arrivals_.latency.add(read_at_ - Stamp::read_time(payload.data()));
        payload.remove_prefix(stamped);
    }
    // The last byte stands for all the filler: it is wrong when a body was cut, shifted or mixed with
    // another.
    if (!payload.empty() && payload.back() != filler) arrivals_.checker->damaged(stream.queue);
}

void Consumer::message_complete(Stream& stream, std::uint16_t channel) {
    ++arrivals_.delivered;
    if (acknowledge_ == 0 || stream.last_tag - stream.acknowledged < acknowledge_) return;
    stream.acknowledged = stream.last_tag;
    protocol::append_method(control_, channel,
                            protocol::basic::Ack{.delivery_tag = stream.last_tag, .multiple = true});
}

void Consumer::acknowledge_rest() {
    for (std::size_t index = 0; index < streams_.size(); ++index) {
        Stream& stream = streams_[index];
        if (acknowledge_ == 0 || stream.acknowledged == stream.last_tag) continue;
        stream.acknowledged = stream.last_tag;
        protocol::append_method(control_, static_cast<std::uint16_t>(index + 1),
                                protocol::basic::Ack{.delivery_tag = stream.last_tag, .multiple = true});
    }
    flush();
}

}  // namespace trilby::perf
