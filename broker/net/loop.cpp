// SPDX-License-Identifier: Apache-2.0
#include "broker/net/loop.hpp"

#include <algorithm>
#include <system_error>
#include <thread>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/room.hpp"

namespace trilby::broker {

namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

/// Handlers a turn, while there is much to do.
constexpr int handlers_a_turn = 16;

constexpr std::chrono::milliseconds pause_after_interruption{10};

int make_eventfd() {
    const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) throw std::system_error(errno, std::system_category(), "eventfd");
    return fd;
}

/// None of it is worth to lose a connection for.
void prepare(int socket, const Settings& settings) {
    const auto set = [socket](int level, int option, int value) {
        ::setsockopt(socket, level, option, &value, sizeof value);
    };
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    if (settings.tcp_keepalive.count() != 0) {
        constexpr int between = 10;  // seconds
        constexpr int unanswered = 3;
        set(IPPROTO_TCP, TCP_KEEPIDLE, static_cast<int>(settings.tcp_keepalive.count()));
        set(IPPROTO_TCP, TCP_KEEPINTVL, between);
        set(IPPROTO_TCP, TCP_KEEPCNT, unanswered);
        set(SOL_SOCKET, SO_KEEPALIVE, 1);
    }
    set(IPPROTO_TCP, TCP_USER_TIMEOUT,
        static_cast<int>(std::chrono::milliseconds{settings.tcp_user_timeout}.count()));
}

}  // namespace

void LoopsEnd::add(Loop& loop) {
    loops_.push_back(&loop);
}

void LoopsEnd::arrive() {
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == loops_.size())
        for (Loop* loop : loops_) loop->wake();
}

Loop::Loop(Shard& shard, LoopsEnd& end)
    : shard_(shard), end_(end), wake_up_(io_), tick_(io_), wake_fd_(make_eventfd()) {
    wake_up_.assign(wake_fd_);
    shard_.set_loop(*this);
    shard_.set_now(std::chrono::steady_clock::now());
}

Loop::~Loop() = default;

void Loop::run() {
    arm_wake_up();
    while (!finished()) {
        try {
            turn();
        } catch (const std::exception& error) {
            // It has no connection to end at: a connection's own ends there.
            spdlog::error("shard {} was interrupted: {}; it goes on", shard_.index(), error.what());
            std::this_thread::sleep_for(pause_after_interruption);
        }
    }
}

void Loop::turn() {
    shard_.set_now(std::chrono::steady_clock::now());
    int handled = 0;
    if (busy_) {
        busy_ = false;
        // Bounded: io_context::poll does not end while a socket stays readable.
        while (handled < handlers_a_turn && io_.poll_one() != 0) ++handled;
    }
    const bool mail = shard_.take_mail();
    end_turn();
    if (handled != 0 || mail || !dirty_.empty()) {
        // Mail alone is looked at again before the sockets are, but only once, or they would starve.
        busy_ = busy_ || handled != 0 || mail_before_;
        mail_before_ = mail;
        return;
    }
    if (look_for_more()) {
        mail_before_ = false;
        return;
    }
    std::atomic<bool>& asleep = shard_.asleep();
    asleep.store(true, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (shard_.has_mail()) {
        asleep.store(false, std::memory_order_relaxed);
        return;
    }
    io_.run_one();
    asleep.store(false, std::memory_order_relaxed);
    mail_before_ = false;
}

bool Loop::look_for_more() {
    const std::chrono::microseconds longest = shard_.settings().busy_poll;
    if (longest.count() == 0 || !patience_.worth_a_look()) return false;
    const auto end = std::chrono::steady_clock::now() + longest;
    bool found = false;
    do {
        found = io_.poll_one() != 0 || shard_.has_mail();
    } while (!found && std::chrono::steady_clock::now() < end);
    patience_.looked(found);
    return found;
}

void Loop::share_reads() {
    // Those that had much to say in the last turn will have so in this one.
    read_share_ = std::max(read_size, octets_a_turn / std::max<std::size_t>(long_reads_, 1));
    long_reads_ = 0;
    turn_octets_ = 0;
}

bool Loop::finished() {
    if (!stopping_ || !connections_.empty()) return false;
    if (!std::exchange(arrived_, true)) end_.arrive();
    return end_.all_arrived();
}

void Loop::end_turn() {
    share_reads();
    write_dirty();
    shard_.end_turn();
}

void Loop::write_dirty() {
    if (dirty_.empty()) return;
    // What becomes dirty meanwhile has its turn in the next round, or two full connections could feed each
    // other for ever.
    std::swap(writing_, dirty_);
    for (std::size_t i = 0; i < writing_.size(); ++i) {
        Session* session = writing_[i];
        if (session == nullptr) continue;
        session->touched = false;
        static_cast<Connection*>(session->host)->look();
    }
    writing_.clear();
}

void Loop::after_read(std::size_t octets) {
    turn_octets_ += octets;
    shard_.taken(octets);
    if (octets >= read_size / 2) {
        busy_ = true;
        ++long_reads_;
    } else {
        end_turn();
    }
}

std::span<char> Loop::buffer(std::size_t tail) {
    if (buffer_.size() < tail + read_size) buffer_.resize(tail + read_size);
    return buffer_;
}

void Loop::wake() {
    const std::uint64_t one = 1;
    // Fails only if the counter is full, and then it is awake.
    [[maybe_unused]] const ssize_t written = ::write(wake_fd_, &one, sizeof one);
}

void Loop::arm_wake_up() {
    wake_up_.async_wait(boost::asio::posix::descriptor_base::wait_read, [this](error_code error) {
        if (error) return;
        std::uint64_t count;
        [[maybe_unused]] const ssize_t size = ::read(wake_fd_, &count, sizeof count);
        arm_wake_up();
    });
}

void Loop::arm_tick() {
    if (ticking_ || connections_.empty()) return;
    ticking_ = true;
    tick_.expires_after(TimerWheel::tick);
    tick_.async_wait([this](error_code error) {
        ticking_ = false;
        if (error) return;
        shard_.set_now(std::chrono::steady_clock::now());
        look_at_time();
        arm_tick();
    });
}

void Loop::look_at_time() {
    try {
        shard_.say_refused_logins();
        shard_.timers().advance(shard_.now());
        if (stopping_ && shard_.now() >= drop_at_) drop_all();
    } catch (const std::exception& error) {
        spdlog::error("shard {} has missed a tick: {}", shard_.index(), error.what());
    }
}

void Loop::drop_all() {
    std::vector<Connection*> all;
    all.reserve(connections_.size());
    for (const auto& [connection, owned] : connections_) all.push_back(connection);
    for (Connection* connection : all)
        if (connections_.contains(connection)) connection->drop();
}

void Loop::touched(Session& session) {
    if (session.touched) return;
    dirty_.push_back(&session);
    session.touched = true;
}

void Loop::forget(Session& session) {
    for (auto* list : {&dirty_, &writing_})
        std::replace(list->begin(), list->end(), &session, static_cast<Session*>(nullptr));
}

void Loop::adopt(int fd) {
    Connection* added = nullptr;
    try {
        added = serve(fd);
    } catch (const std::exception& error) {
        spdlog::error("a connection cannot be served: {}", error.what());
    }
    if (added == nullptr) {
        --connections_count_;
        return;
    }
    arm_tick();
    added->start();
}

Connection* Loop::serve(int fd) {
    Socket socket(io_);
    error_code error;
    socket.assign(tcp::v6(), fd, error);
    if (error) ::close(fd);
    const tcp::endpoint remote = error ? tcp::endpoint() : socket.remote_endpoint(error);
    const tcp::endpoint local = error ? tcp::endpoint() : socket.local_endpoint(error);
    if (error || stopping_) return nullptr;  // it has gone already
    prepare(fd, shard_.settings());
    auto connection = std::make_unique<Connection>(
        *this, std::move(socket),
        Peer{remote.address().to_string(), remote.port(), local.address().to_string(), local.port()});
    Connection* const added = connection.get();
    // That a session has news needs no memory afterwards.
    for (auto* list : {&dirty_, &writing_}) make_room(*list, connections_.size() + 1);
    connections_.emplace(added, std::move(connection));
    return added;
}

void Loop::remove(Connection& connection) {
    --connections_count_;
    connections_.erase(&connection);
}

void Loop::stopping() {
    stopping_ = true;
    // Half of the time is the peers', the rest is for what is left to write.
    drop_at_ = shard_.now() + std::chrono::milliseconds{shard_.settings().shutdown_timeout} / 2;
}

}  // namespace trilby::broker
