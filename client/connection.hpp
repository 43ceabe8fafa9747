// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
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

    /// A descriptor that ends waits for deliveries as soon as it is readable; -1 for none.
    void interrupt_with(int descriptor) { interrupt_ = descriptor; }

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
    Result<> flush();

    /// Handles at most one frame and flushes before it waits. What a frame's views point at lasts until the
    /// next call.
    Result<Wait> pump(Deadline deadline, bool interruptible);

    Result<> dispatch(const protocol::FrameHead& head, std::string_view payload);
    Result<> connection_method(const protocol::Method& method);
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
    // The last reply on channel 0; its views point into input_.
    std::unique_ptr<protocol::Method> reply_;
    std::map<std::uint16_t, std::unique_ptr<Channel>> channels_;
};

}  // namespace trilby::client
