// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/error.hpp"
#include "client/socket.hpp"
#include "client/url.hpp"
#include "protocol/frame.hpp"
#include "protocol/methods.hpp"

namespace trilby::client {

class Channel;

struct ConnectionOptions {
    std::string name = "trilby";         ///< shown by the broker's management
    std::chrono::seconds heartbeat{60};  ///< at most; the broker may ask for less, 0 is off
    std::chrono::seconds patience{10};   ///< for the connection to stand, and for each reply
};

/// One connection to a broker and its channels, used by one thread. Calls block until their reply came or
/// patience ended; heartbeats are sent and checked while a call waits, so do not stay away for longer than a
/// heartbeat. After the first Error the connection is of no more use.
class Connection {
  public:
    /// Connects, logs in (PLAIN) and opens the virtual host.
    static Result<std::unique_ptr<Connection>> open(const Url& url, const ConnectionOptions& options = {});

    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();  // drops the socket; close() is the polite way

    /// The channel lives as long as the connection.
    Result<Channel*> open_channel();

    Result<> close();

    /// A descriptor that ends, as soon as it is readable, what waits for deliveries, for confirms, or for the
    /// broker to take what is published; -1 for none.
    void interrupt_with(int descriptor) { interrupt_ = descriptor; }

    /// Why the broker takes no messages at present, in its own words. While there is a reason nothing that
    /// waits for the broker to take or confirm messages runs out of patience.
    const std::optional<std::string>& blocked() const { return blocked_; }
    /// Called when that changes.
    void on_blocked(std::function<void()> changed) { on_blocked_ = std::move(changed); }

    std::uint32_t frame_max() const { return frame_max_; }
    std::chrono::seconds patience() const { return options_.patience; }

    /// The bare connection, for a program with an event loop of its own. Ends the use of this object.
    struct Bare {
        Socket socket;
        std::string unread;  ///< received but not looked at yet
        std::uint32_t frame_max = 0;
    };
    Bare release() &&;

  private:
    friend class Channel;

    enum class Wait { frame, deadline, interrupted };

    Connection(Socket socket, ConnectionOptions options);

    Result<> handshake(const Url& url);

    // What channels write; leaves with flush().
    std::string& output() { return output_; }
    enum class Flushed { alone, and_handled_frames };
    /// Handles frames when the broker takes nothing before it has got rid of its own.
    Result<Flushed> flush(bool interruptible);

    /// Flushes, and handles at least one frame if any comes in time. What a frame's views point at lasts
    /// until the next call.
    Result<Wait> pump(Deadline deadline, bool interruptible);

    /// False: no whole frame is there.
    Result<bool> handle_frame();
    Result<> dispatch(const protocol::FrameHead& head, std::string_view payload);
    Result<> connection_method(const protocol::Method& method);
    void set_blocked(std::optional<std::string> reason);
    bool silent_for_too_long() const;
    std::unexpected<Error> silence() const;
    Result<> tick();

    template <class Reply>
    Result<Reply> expect(Deadline deadline);

    Socket socket_;
    ConnectionOptions options_;
    std::uint32_t frame_max_ = 4096;
    std::uint16_t channel_max_ = 0;
    std::chrono::seconds heartbeat_{0};
    std::string input_;
    std::size_t input_at_ = 0;  // what lies before was handled
    std::string output_;
    Deadline last_sent_, last_received_;
    int interrupt_ = -1;
    std::optional<std::string> blocked_;
    std::function<void()> on_blocked_;
    // The last reply on channel 0; its views point into input_.
    std::unique_ptr<protocol::Method> reply_;
    std::map<std::uint16_t, std::unique_ptr<Channel>> channels_;
};

}  // namespace trilby::client
