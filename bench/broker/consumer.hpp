// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "bench/broker/checker.hpp"
#include "bench/broker/histogram.hpp"
#include "bench/broker/link.hpp"
#include "bench/broker/scenario.hpp"

namespace trilby::perf {

/// What the consumers of one loop share.
struct Arrivals {
    Checker* checker;
    std::uint64_t delivered = 0;
    Histogram latency;  // only filled when the messages carry times
};

/// Takes deliveries, one channel a queue, checks and acknowledges them.
class Consumer final : public Link {
  public:
    /// Channel n + 1 of the connection consumes `queues[n]`; its stream in the checker is `first_stream` + n.
    Consumer(client::Connection::Bare bare, const Scenario& scenario, std::vector<std::size_t> queues,
             std::size_t first_stream, Arrivals& arrivals);

    /// Acknowledges what is left of the last round, so that nothing is redelivered.
    void acknowledge_rest();

  private:
    struct Stream {
        std::size_t queue;
        std::uint64_t last_tag = 0, acknowledged = 0;
        std::uint64_t body_left = 0;
        bool header_due = false, stamp_due = false;
    };

    std::size_t handle(std::string_view bytes) override;
    std::size_t take_whole(const char* at, std::size_t left);
    void after_read() override { flush(); }
    void frame(const protocol::FrameHead& head, std::string_view payload);
    void deliver(Stream& stream, std::uint16_t channel, std::string_view payload);
    void header(Stream& stream, std::string_view payload);
    void body(Stream& stream, std::size_t index, std::string_view payload);
    void stamped(const Stream& stream, std::size_t index, std::string_view body);
    void message_complete(Stream& stream, std::uint16_t channel);

    const std::size_t size_;
    const std::uint32_t acknowledge_;
    const bool timed_;
    const std::size_t first_stream_;
    std::vector<Stream> streams_;  // by channel - 1
    Arrivals& arrivals_;
    std::int64_t read_at_ = 0;
};

}  // namespace trilby::perf
