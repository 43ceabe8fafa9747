// SPDX-License-Identifier: Apache-2.0
#include "broker/net/acceptor.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include <boost/asio/ip/v6_only.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

namespace trilby::broker {

namespace {
using boost::system::error_code;
constexpr int backlog = 1024;
constexpr std::chrono::milliseconds pause_without_room{200};
constexpr int most_together = 64;
}  // namespace

Acceptor::Acceptor(boost::asio::io_context& io, const Listener& listener, Room room, Accept accept)
    : room_(std::move(room)), accept_(std::move(accept)), acceptor_(io), pause_(io) {
    error_code error;
    tcp::resolver resolver(io);
    const auto found = resolver.resolve(listener.host, std::to_string(listener.port),
                                        tcp::resolver::passive | tcp::resolver::numeric_service, error);
    if (!error && found.empty()) error = boost::asio::error::host_not_found;
    if (!error) {
        const tcp::endpoint endpoint = *found.begin();
        acceptor_.open(endpoint.protocol(), error);
        if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
        // An IPv6 address does not take the IPv4 one of the same port with it.
        if (!error && endpoint.address().is_v6()) acceptor_.set_option(boost::asio::ip::v6_only(true), error);
        if (!error) acceptor_.bind(endpoint, error);
        if (!error) acceptor_.listen(backlog, error);
    }
    if (error)
        throw std::runtime_error(
            fmt::format("cannot listen on {}: {}; choose another address with --listen HOST:PORT",
                        to_text(listener), error.message()));
    address_ = to_text({acceptor_.local_endpoint().address().to_string(), acceptor_.local_endpoint().port()});
    acceptor_.non_blocking(true);
}

void Acceptor::start() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](error_code error) {
        if (!error) take();
    });
}

void Acceptor::take() {
    for (int most = most_together; most > 0; --most) {
        if (!room_()) return pause("there are as many connections as file descriptors allow");
        const int socket =
            ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket >= 0) {
            if (std::exchange(pausing_, false)) spdlog::info("accepting on {} again", address_);
            accept_(socket);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            return pause(std::strerror(errno));
        } else if (errno != EINTR && errno != ECONNABORTED) {
            break;
        }
    }
    start();
}

void Acceptor::pause(const char* why) {
    if (!std::exchange(pausing_, true))
        spdlog::warn("accepting nobody on {} for now: {}; who connects has to wait", address_, why);
    pause_.expires_after(pause_without_room);
    pause_.async_wait([this](error_code error) {
        if (!error) start();
    });
}

void Acceptor::stop() {
    error_code ignored;
    acceptor_.close(ignored);
    pause_.cancel();
}

}  // namespace trilby::broker
