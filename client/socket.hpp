// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "client/error.hpp"

namespace trilby::client {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

/// A TCP connection that is never waited for without a deadline. Owns its descriptor, which is non-blocking.
class Socket {
  public:
    static Result<Socket> connect(const std::string& host, std::uint16_t port, Deadline deadline);

    Socket() = default;
    Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    ~Socket();

    int descriptor() const { return descriptor_; }

    /// What the kernel took without waiting, possibly 0.
    Result<std::size_t> send_some(std::string_view bytes);

    /// Appends to `into` what has arrived; 0 when nothing has. The peer's end of the stream is an error.
    Result<std::size_t> receive_some(std::string& into);

    struct Ready {
        bool readable = false, writable = false, interrupted = false;
    };
    /// Waits until the peer sent something, or (if `for_output`) takes more, or `interrupt` (a descriptor, -1
    /// for none) becomes readable. All false: the deadline passed.
    Ready wait(Deadline deadline, bool for_output, int interrupt) const;

  private:
    explicit Socket(int descriptor) : descriptor_(descriptor) {}

    int descriptor_ = -1;
};

}  // namespace trilby::client
