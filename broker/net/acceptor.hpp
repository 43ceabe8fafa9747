// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "broker/net/connection.hpp"
#include "broker/net/listener.hpp"

namespace trilby::broker {

/// One listening address. Accepts on its loop's thread and hands the sockets over, as long as there is room
/// for them; whoever finds none waits in the system's queue until there is.
class Acceptor {
  public:
    using Accept = std::function<void(int socket)>;
    /// Asked before each one.
    using Room = std::function<bool()>;

    /// Binds. Throws std::runtime_error with a sentence for the operator if the address cannot be had.
    Acceptor(boost::asio::io_context& io, const Listener& listener, Room room, Accept accept);

    /// "127.0.0.1:5672", with the port that the system chose for port 0.
    const std::string& address() const { return address_; }
    void start();
    void stop();

  private:
    using tcp = boost::asio::ip::tcp;
    using Executor = boost::asio::io_context::executor_type;

    void take();
    void pause(const char* why);

    Room room_;
    Accept accept_;
    boost::asio::basic_socket_acceptor<tcp, Executor> acceptor_;
    boost::asio::steady_timer pause_;
    bool pausing_ = false;  // and has said so
    std::string address_;
};

}  // namespace trilby::broker
