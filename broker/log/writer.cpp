// SPDX-License-Identifier: Apache-2.0
#include "broker/log/writer.hpp"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <spdlog/details/log_msg.h>
#include <unistd.h>

#include "broker/log/gatherer.hpp"
#include "broker/log/spdlog_level.hpp"

namespace trilby::broker::log {

namespace {

constexpr std::size_t most_pending = std::size_t{256} << 10;
/// On top of it, for what should not be missing: errors, and that the broker stops.
constexpr std::size_t reserve = std::size_t{64} << 10;
constexpr std::chrono::seconds patience{1};

/// Starts a thread that no signal is delivered to.
template <class Run>
std::thread start_without_signals(Run run) {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread thread(std::move(run));
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return thread;
}

std::size_t lines_of(std::string_view text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

class Writer::State {
  public:
    State(int fd, Style style) : fd_(fd), style_(style) {}

    void log(const Line& line, const std::shared_ptr<State>& self) {
        const std::scoped_lock lock(mutex_);
        if (ending_) return;
        if (!thread_.joinable()) thread_ = start_without_signals([self] { self->run(); });
        if (gatherer_.passes(line, Gatherer::Clock::now())) add(line);
        wake_.notify_one();
    }

    void set_format(Format format) {
        const std::scoped_lock lock(mutex_);
        style_.format = format;
    }

    void finish() {
        std::unique_lock lock(mutex_);
        if (std::exchange(ending_, true) || !thread_.joinable()) return;
        gatherer_.take_all(Gatherer::Clock::now(), [this](const Line& line) { add(line); });
        wake_.notify_one();
        if (written_.wait_for(lock, patience, [this] { return ended_; })) {
            lock.unlock();
            thread_.join();
        } else {
            thread_.detach();  // it waits in a write, and ends with the process
        }
    }

    void flush() {
        std::unique_lock lock(mutex_);
        if (thread_.joinable())
            written_.wait_for(lock, patience, [this] { return pending_.empty() && !writing_; });
    }

  private:
    void add(const Line& line) {
        const std::size_t before = pending_.size();
        append_line(pending_, line, style_);
        const bool keep = line.level >= Level::error ||
                          (line.fields != nullptr && line.fields->event == Event::broker_stopping);
        if (pending_.size() <= most_pending + (keep ? reserve : 0)) return;
        pending_.resize(before);
        drop(1);
    }

    void drop(std::size_t lines) {
        if (dropped_ == 0) dropped_since_ = std::chrono::steady_clock::now();
        dropped_ += lines;
    }

    /// Where they are missing: behind what was taken, before what comes.
    void say_what_was_dropped() {
        if (dropped_ == 0) return;
        const auto seconds =
            std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - dropped_since_);
        add({.time = std::chrono::system_clock::now(),
             .level = Level::warning,
             .message = fmt::format("{} lines were dropped: the log could not be written for {} s",
                                    std::exchange(dropped_, 0), seconds.count())});
    }

    void run() {
        ::pthread_setname_np(::pthread_self(), "log");
        std::unique_lock lock(mutex_);
        std::string taken;
        for (;;) {
            wait(lock);
            gatherer_.take_due(Gatherer::Clock::now(), [this](const Line& line) { add(line); });
            if (pending_.empty() && ending_) break;
            taken.swap(pending_);
            say_what_was_dropped();
            writing_ = true;
            lock.unlock();
            const std::size_t lost = write(taken);
            taken.clear();
            if (taken.capacity() > reserve) taken.shrink_to_fit();
            lock.lock();
            writing_ = false;
            if (lost != 0) drop(lost);
            written_.notify_all();
        }
        ended_ = true;
        written_.notify_all();
    }

    void wait(std::unique_lock<std::mutex>& lock) {
        const auto something = [this] { return !pending_.empty() || ending_; };
        if (const auto due = gatherer_.next()) {
            wake_.wait_until(lock, *due, something);
        } else {
            // Until a line that is gathered makes something due.
            wake_.wait(lock, [&] { return something() || gatherer_.next(); });
        }
    }

    /// How many lines could not be written.
    std::size_t write(std::string_view text) {
        while (!text.empty() && !gone_) {
            const ssize_t size = ::write(fd_, text.data(), text.size());
            if (size >= 0) {
                text.remove_prefix(static_cast<std::size_t>(size));
            } else if (errno == EAGAIN) {  // somebody else made it so
                pollfd wanted{fd_, POLLOUT, 0};
                ::poll(&wanted, 1, -1);
            } else if (errno == EPIPE || errno == EBADF || errno == EIO) {
                gone_ = true;
            } else if (errno != EINTR) {  // a full disk, which may have room again for later ones
                return lines_of(text);
            }
        }
        return 0;
    }

    const int fd_;
    bool gone_ = false;  // of the thread: nobody will ever read what is written

    std::mutex mutex_;  // for all below; never held while something is written
    std::condition_variable wake_, written_;
    std::thread thread_;
    Style style_;
    Gatherer gatherer_;
    std::string pending_;
    std::size_t dropped_ = 0;
    std::chrono::steady_clock::time_point dropped_since_{};
    bool writing_ = false;
    bool ending_ = false;
    bool ended_ = false;
};

Writer::Writer(int fd, Style style) : state_(std::make_shared<State>(fd, style)) {}

Writer::~Writer() {
    finish();
}

void Writer::log(const spdlog::details::log_msg& message) {
    state_->log({.time = message.time,
                 .level = from_spdlog(message.level),
                 .message = {message.payload.data(), message.payload.size()},
                 .fields = fields_of_this_line()},
                state_);
}

void Writer::set_format(Format format) {
    state_->set_format(format);
}

void Writer::flush() {
    state_->flush();
}

void Writer::finish() {
    state_->finish();
}

}  // namespace trilby::broker::log
