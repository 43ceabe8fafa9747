// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "client/connection.hpp"

namespace trilby::perf {

/// The most that one read takes.
inline constexpr std::size_t read_size = 128 * 1024;
/// What a loop reads into: what was left of the last read, less than a frame, goes in front of the next.
inline constexpr std::size_t read_buffer_size = 4 * read_size;

/// A connection under load, non-blocking. Knows what was not looked at and what was not sent yet.
class Link {
  public:
    explicit Link(client::Connection::Bare bare);
    virtual ~Link() = default;
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    int descriptor() const { return socket_.descriptor(); }
    std::uint32_t frame_max() const { return frame_max_; }
    bool failed() const { return !failure_.empty(); }
    const std::string& failure() const { return failure_; }

    /// Reads once into `buffer`, which has read_buffer_size bytes, and handles what is whole.
    void read(char* buffer);

    /// Handles what came before this loop watched the connection: deliveries can be as early as the consumer.
    void take_unread();

    /// Sends control frames (acks, closes) that wait.
    void flush();
    bool wants_to_write() const { return blocked_; }
    void writable() { blocked_ = false; }

  protected:
    /// Called for each whole frame; `payload` is where it was read.
    virtual std::size_t handle(std::string_view bytes) = 0;
    virtual void after_read() {}

    /// How much the kernel took; sets blocked_ when it takes no more for now.
    std::size_t send(std::string_view bytes);
    /// What the broker has to say about us that ends the run.
    void other_method(std::uint16_t channel, std::string_view payload);
    void fail(std::string why);

    std::string control_;  // frames besides the load

  private:
    client::Socket socket_;
    std::uint32_t frame_max_;
    std::string tail_;  // the start of a frame whose end has not come
    std::string failure_;
    bool blocked_ = false;
};

}  // namespace trilby::perf
