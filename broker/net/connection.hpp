// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <exception>
#include <memory>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "broker/session/session.hpp"

namespace trilby::broker {

class Loop;

using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

/// The socket of a session: moves octets, knows no rules. Waits for the socket to be readable and then
/// receives into the loop's one buffer, so an idle connection has none. Belongs to its loop, and goes when
/// the last wait has come back.
class Connection final : private Timer {
  public:
    Connection(Loop& loop, Socket socket, Peer peer);
    ~Connection();

    void start() { look(); }
    /// The session has something to write, wants to be read again, or is over.
    void look();
    /// Over at once, whatever is open.
    void drop();

  private:
    // Timer
    void due() override;
    /// To be called when something is due that was not, or earlier than it was.
    void set_timer();
    void arm_read();
    void arm_write();
    void on_readable();
    /// One buffer's worth for the session; the octets that came.
    std::size_t receive();
    void write();
    void farewell();
    void drain();
    /// While it is not read nothing else tells that the peer has gone.
    void watch_peer();
    void close();
    /// What is done for this connection and throws ends this connection.
    template <class Act>
    void guard(Act act) noexcept {
        try {
            act();
        } catch (const std::exception& error) {
            failed(error.what());
        }
    }
    void failed(const char* what) noexcept;
    void done_waiting();

    Loop& loop_;
    Socket socket_;
    std::unique_ptr<Session> session_;  // none while only the peer's end of the close is awaited
    Shard::Time linger_until_{};
    Shard::Time next_watch_{};
    bool reading_ = false;  // a wait for octets is under way
    bool writing_ = false;  // a wait for room is under way
    bool closed_ = false;
};

}  // namespace trilby::broker
