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
    std::size_t at = 0;
    for (;;) {
        std::size_t taken = take_whole(bytes.data() + at, bytes.size() - at);
        if (taken == 0)
            taken = walk_frames<1>(
                bytes.substr(at),
                [this](const protocol::FrameHead& head, std::string_view payload) { frame(head, payload); });
        if (taken == 0 || failed()) return at;
        at += taken;
    }
}

/// Nearly every message lies there whole: method, header and one body frame of the expected size. Then its
/// length, or 0 for whatever is not exactly so, and nothing has happened: frame by frame then says what is
/// wrong.
std::size_t Consumer::take_whole(const char* at, std::size_t left) {
    using protocol::load_big_endian;
    constexpr std::size_t head = protocol::frame_head_size, overhead = protocol::frame_overhead;
    constexpr std::size_t least_header = 14;
    const auto is = [](const char* frame, protocol::FrameType type) {
        return frame[0] == static_cast<char>(type);
    };
    const auto channel_of = [](const char* frame) { return load_big_endian<std::uint16_t>(frame + 1); };
    const auto size_of = [](const char* frame) { return load_big_endian<std::uint32_t>(frame + 3); };

    if (left < overhead || !is(at, protocol::FrameType::method)) return 0;
    const std::uint16_t channel = channel_of(at);
    const std::size_t index = std::size_t{channel} - 1, method_size = size_of(at),
                      header_at = method_size + overhead;
    if (index >= streams_.size() || left < header_at + overhead + least_header) return 0;
    const char* header = at + header_at;
    const std::size_t body_at = header_at + size_of(header) + overhead, end = body_at + size_ + overhead;
    if (!is(header, protocol::FrameType::header) || left < end) return 0;
    const char* body = at + body_at;
    Stream& stream = streams_[index];
    const std::string_view method(at + head, method_size);
    const std::size_t tag_at = method_size > 5 ? 5 + static_cast<unsigned char>(method[4]) : method_size;
    const bool expected = is(body, protocol::FrameType::body) && size_of(body) == size_ &&
                          channel_of(header) == channel && channel_of(body) == channel &&
                          header[-1] == protocol::frame_end && body[-1] == protocol::frame_end &&
                          at[end - 1] == protocol::frame_end &&
                          method_code_of(method) == method_code<protocol::basic::Deliver> &&
                          method_size >= tag_at + 9 && !stream.header_due && stream.body_left == 0 &&
                          load_big_endian<std::uint64_t>(header + head + 4) == size_ &&
                          load_big_endian<std::uint64_t>(method.data() + tag_at) == stream.last_tag + 1;
    if (!expected) return 0;
    ++stream.last_tag;
    stamped(stream, index, {body + head, size_});
    message_complete(stream, channel);
    return end;
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
    if (std::exchange(stream.stamp_due, false)) return stamped(stream, index, payload);
    if (payload.back() != filler) arrivals_.checker->damaged(stream.queue);
}

/// `body` is the message's only or first part.
void Consumer::stamped(const Stream& stream, std::size_t index, std::string_view body) {
    const std::size_t needed = timed_ ? Stamp::size_with_time : Stamp::size;
    if (body.size() < needed) return arrivals_.checker->damaged(stream.queue);
    arrivals_.checker->arrived(first_stream_ + index, stream.queue, Stamp::read(body.data()));
    if (timed_) arrivals_.latency.add(read_at_ - Stamp::read_time(body.data()));
    // The last byte stands for all the filler: it is wrong when a body was cut, shifted or mixed with
    // another.
    if (body.size() > needed && body.back() != filler) arrivals_.checker->damaged(stream.queue);
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
