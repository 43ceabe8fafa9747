// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "broker/configuration.hpp"
#include "broker/connection.hpp"

namespace trilby::broker {

/// One listening address. Accepts on its loop's thread and hands the sockets over. When the process is out of
/// file descriptors it pauses instead of spinning.
class Acceptor {
  public:
    using Accept = std::function<void(int socket)>;

    /// Binds. Throws std::runtime_error with a sentence for the operator if the address cannot be had.
    Acceptor(boost::asio::io_context& io, const Listener& listener, Accept accept);

    /// "127.0.0.1:5672", with the port that the system chose for port 0.
    const std::string& address() const { return address_; }
    void start();
    void stop();

  private:
    using tcp = boost::asio::ip::tcp;
    using Executor = boost::asio::io_context::executor_type;

    Accept accept_;
    boost::asio::basic_socket_acceptor<tcp, Executor> acceptor_;
    boost::asio::steady_timer pause_;
    std::string address_;
};

}  // namespace trilby::broker
