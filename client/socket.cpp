// SPDX-License-Identifier: Apache-2.0
#include "client/socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace trilby::client {
namespace {

std::string reason(int error) {
    return std::strerror(error);
}

int milliseconds_until(Deadline deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    return static_cast<int>(std::clamp<long long>(left, 0, 3'600'000));
}

/// 0 when the connection stands, otherwise errno's value.
int await_connected(int descriptor, Deadline deadline) {
    for (;;) {
        pollfd waiting{descriptor, POLLOUT, 0};
        const int ready = poll(&waiting, 1, milliseconds_until(deadline));
        if (ready < 0 && errno == EINTR) continue;
        if (ready <= 0) return ready == 0 ? ETIMEDOUT : errno;
        int error = 0;
        socklen_t size = sizeof error;
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
    }
}

}  // namespace

Result<Socket> Socket::connect(const std::string& host, std::uint16_t port, Deadline deadline) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0)
        return failure(fmt::format("the host name '{}' is not known ({})", host, gai_strerror(error)));
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);

    int error = EADDRNOTAVAIL;
    for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
        Socket attempt(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (attempt.descriptor_ < 0) {
            error = errno;
            continue;
        }
        error = ::connect(attempt.descriptor_, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
        if (error == EINPROGRESS) error = await_connected(attempt.descriptor_, deadline);
        if (error != 0) continue;
        const int on = 1;
        setsockopt(attempt.descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return attempt;
    }
    return failure(reason(error));
}

Socket::~Socket() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

Result<std::size_t> Socket::send_some(std::string_view bytes) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<std::size_t>(sent);
    if (errno == EAGAIN || errno == EINTR) return std::size_t{0};
    return failure(fmt::format("the connection broke: {}", reason(errno)));
}

Result<std::size_t> Socket::receive_some(std::string& into) {
    constexpr std::size_t chunk = 64 * 1024;
    const std::size_t before = into.size();
    into.resize(before + chunk);
    const ssize_t got = ::recv(descriptor_, into.data() + before, chunk, 0);
    into.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got > 0) return static_cast<std::size_t>(got);
    if (got == 0) return failure("the broker hung up");
    if (errno == EAGAIN || errno == EINTR) return std::size_t{0};
    return failure(fmt::format("the connection broke: {}", reason(errno)));
}

Socket::Ready Socket::wait(Deadline deadline, bool for_output, int interrupt) const {
    pollfd waiting[2] = {{descriptor_, static_cast<short>(for_output ? POLLIN | POLLOUT : POLLIN), 0},
                         {interrupt, POLLIN, 0}};
    // A signal ends the wait early; the caller looks at its own deadline anyway.
    if (poll(waiting, 2, milliseconds_until(deadline)) <= 0) return {};
    return {.readable = (waiting[0].revents & (POLLIN | POLLERR | POLLHUP)) != 0,
            .writable = (waiting[0].revents & POLLOUT) != 0,
            .interrupted = waiting[1].revents != 0};
}

}  // namespace trilby::client
