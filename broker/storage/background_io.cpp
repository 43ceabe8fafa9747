// SPDX-License-Identifier: Apache-2.0
#include "broker/storage/background_io.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

namespace trilby::broker {

namespace {
/// What is read ahead of what was asked for: the next messages of a backlog are usually behind it.
constexpr std::size_t ahead = std::size_t{1} << 20;
constexpr std::chrono::milliseconds pause{50};
}  // namespace

void BackgroundIo::submit(Request& request) {
    {
        const std::lock_guard lock(mutex_);
        begin();
        requests_.push_back(&request);
    }
    wanted_.notify_one();
}

void BackgroundIo::start() {
    const std::lock_guard lock(mutex_);
    begin();
}

void BackgroundIo::begin() {
    if (by_hand_ || thread_.joinable()) return;
    thread_ = std::jthread([this] { run(); });
    ::pthread_setname_np(thread_.native_handle(), "disk");
}

void BackgroundIo::stop() {
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
    }
    wanted_.notify_one();
    if (thread_.joinable()) thread_.join();
    while (by_hand_ && turn()) {
    }
}

void BackgroundIo::run() {
    for (;;) {
        std::unique_lock lock(mutex_);
        wanted_.wait(lock, [this] { return over_ || !requests_.empty(); });
        if (requests_.empty()) return;
        Request& request = *requests_.front();
        requests_.pop_front();
        lock.unlock();
        complete(request);
    }
}

bool BackgroundIo::has_requests() {
    const std::lock_guard lock(mutex_);
    return !requests_.empty();
}

bool BackgroundIo::turn() {
    if (!has_requests()) return false;
    Request& request = *requests_.front();
    requests_.pop_front();
    complete(request);
    return true;
}

void BackgroundIo::complete(Request& request) {
    const ShardIndex shard = request.shard;
    std::atomic<std::uint32_t>& completed = *request.completed;
    carry_out(request);
    request.done.store(true, std::memory_order_release);  // it may be gone from here on
    completed.fetch_add(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);  // that first, then who sleeps
    completed_(shard);
}

void BackgroundIo::carry_out(Request& request) {
    if (request.file == -1) {
        if (!by_hand_) std::this_thread::sleep_for(pause);  // a scheduler's own time passes by itself
        return;
    }
    if (request.octets == nullptr) {
        // An error is met again, and reported, by who reads what is in the cache.
        ::readahead(request.file, static_cast<off_t>(request.offset), std::max(ahead, request.size));
        std::array<char, 16384> away;
        for (std::uint64_t at = 0; at < request.size; at += away.size())
            if (::pread(request.file, away.data(), away.size(), static_cast<off_t>(request.offset + at)) <= 0)
                break;
        ::close(request.file);
        return;
    }
    for (std::uint64_t at = 0; at < request.size;) {
        const ssize_t written = ::pwrite(request.file, request.octets + at, request.size - at,
                                         static_cast<off_t>(request.offset + at));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) {
            request.error = errno;
            return;
        }
        at += static_cast<std::uint64_t>(written);
    }
}

}  // namespace trilby::broker
