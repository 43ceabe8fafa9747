// SPDX-License-Identifier: Apache-2.0
#include "broker/net/connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "broker/net/loop.hpp"

namespace trilby::broker {

namespace {
using boost::asio::ip::tcp;
using boost::system::error_code;
constexpr std::size_t pieces_a_call = 1024;
constexpr std::chrono::seconds farewell_time{2};
constexpr std::chrono::seconds watch_interval{1};
}  // namespace

Connection::Connection(Loop& loop, Socket socket, Peer peer)
    : loop_(loop),
      socket_(std::move(socket)),
      session_(std::make_unique<Session>(loop.shard(), std::move(peer), loop)) {
    session_->host = this;
}

Connection::~Connection() = default;

void Connection::arm_read() {
    if (reading_ || closed_) return;
    reading_ = true;
    socket_.async_wait(Socket::wait_read, [this](error_code error) {
        reading_ = false;
        if (closed_) return done_waiting();
        if (error) return close();
        session_ == nullptr ? drain() : on_readable();
    });
}

void Connection::arm_write() {
    if (writing_ || closed_) return;
    writing_ = true;
    socket_.async_wait(Socket::wait_write, [this](error_code error) {
        writing_ = false;
        if (closed_) return done_waiting();
        if (error) return close();
        look();
    });
}

void Connection::on_readable() {
    if (!session_->wants_input()) return;  // look() arms it again
    std::size_t octets = 0;
    guard([&] {
        std::size_t size;
        do {
            size = receive();
            octets += size;
        } while (size == Loop::read_size && octets < loop_.read_share() && session_->wants_input());
    });
    loop_.touched(*session_);
    loop_.after_read(octets);  // may be the end of this object
}

std::size_t Connection::receive() {
    const std::string_view tail = session_->tail();
    const std::span<char> buffer = loop_.buffer(tail.size());
    std::memcpy(buffer.data(), tail.data(), tail.size());
    const ssize_t size =
        ::recv(socket_.native_handle(), buffer.data() + tail.size(), Loop::read_size, MSG_DONTWAIT);
    if (size > 0) {
        session_->on_bytes({buffer.data(), tail.size() + static_cast<std::size_t>(size)});
        return static_cast<std::size_t>(size);
    }
    if (size == 0 || (errno != EAGAIN && errno != EINTR)) session_->on_peer_gone();
    return 0;
}

void Connection::look() {
    if (closed_ || session_ == nullptr) return;
    guard([&] {
        session_->finish_turn();
        write();
        if (session_->wants_input()) arm_read();
    });
    session_->over() ? farewell() : set_timer();
}

void Connection::set_timer() {
    Time next = linger_until_;
    if (session_ != nullptr) {
        next = session_->next_tick();
        if (!session_->wants_input()) next = std::min(next, next_watch_);
    }
    if (next < at()) loop_.shard().timers().set(*this, next);
}

void Connection::write() {
    Output& output = session_->output();
    std::array<iovec, pieces_a_call>& vectors = loop_.vectors();
    while (!output.empty() && !writing_) {
        msghdr message{};
        message.msg_iov = vectors.data();
        message.msg_iovlen = output.gather(vectors);
        const std::size_t offered = output.size();
        const ssize_t size = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size >= 0) {
            output.sent(static_cast<std::size_t>(size));
            session_->on_output_sent(static_cast<std::size_t>(size));
            // A short write means that the socket is full, unless there were more pieces than one call takes.
            if (static_cast<std::size_t>(size) < offered && message.msg_iovlen < pieces_a_call) arm_write();
        } else if (errno == EAGAIN) {
            arm_write();
        } else if (errno != EINTR) {
            session_->on_peer_gone();
            return;
        }
    }
}

void Connection::farewell() {
    const bool abrupt = session_->abrupt();
    if (session_->touched) loop_.forget(*session_);
    const bool untaken = writing_;
    session_.reset();
    if (abrupt) {
        // The system is not to go on where we gave up.
        if (untaken) {
            const ::linger at_once{.l_onoff = 1, .l_linger = 0};
            ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        }
        return close();
    }
    // The peer reads what was sent before it sees the end; what it still sends is dropped.
    ::shutdown(socket_.native_handle(), SHUT_WR);
    linger_until_ = loop_.shard().now() + farewell_time;
    set_timer();
    arm_read();
}

void Connection::drain() {
    const std::span<char> buffer = loop_.buffer(0);
    const ssize_t size = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size > 0 || (size < 0 && errno == EAGAIN)) {
        arm_read();
    } else {
        close();
    }
}

void Connection::due() {
    if (closed_) return;
    if (session_ != nullptr) {
        guard([&] {
            watch_peer();
            session_->on_tick();
        });
    } else if (loop_.shard().now() >= linger_until_) {
        return close();
    }
    set_timer();
}

void Connection::watch_peer() {
    const Shard::Time now = loop_.shard().now();
    if (session_->wants_input() || now < next_watch_) return;
    next_watch_ = now + watch_interval;
    const int socket = socket_.native_handle();
    pollfd peer{.fd = socket, .events = POLLRDHUP, .revents = 0};
    if (::poll(&peer, 1, 0) > 0) {
        if ((peer.revents & (POLLHUP | POLLERR)) != 0) return close();
        session_->on_peer_finished();
        loop_.touched(*session_);
        return;
    }
    int waiting = 0;
    if (::ioctl(socket, FIONREAD, &waiting) == 0 && waiting != 0) session_->on_octets_waiting();
}

void Connection::drop() {
    if (closed_) return;
    if (session_ == nullptr) return close();
    guard([&] { session_->drop(); });
    if (session_->over()) farewell();
}

void Connection::close() {
    if (closed_) return;
    if (session_ != nullptr) {
        guard([&] {
            session_->on_peer_gone();
            loop_.touched(*session_);  // over at once, or when its questions are answered
        });
        return;
    }
    closed_ = true;
    error_code ignored;
    socket_.close(ignored);  // what still waits comes back with an error
    done_waiting();
}

void Connection::failed(const char* what) noexcept {
    if (session_ == nullptr) return close();
    session_->fail(what);
    try {
        loop_.touched(*session_);
    } catch (const std::exception&) {
        loop_.shard().timers().set(*this, loop_.shard().now());
    }
}

void Connection::done_waiting() {
    if (!reading_ && !writing_) loop_.remove(*this);
}

}  // namespace trilby::broker
