// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/loop.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace trilby::perf {

Loop::Loop(const Scenario& scenario, const Checker& checker, Progress& progress, Arrivals& arrivals)
    : scenario_(scenario),
      checker_(checker),
      progress_(progress),
      arrivals_(arrivals),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      buffer_(new char[read_buffer_size]) {}

Loop::~Loop() {
    close(epoll_);
}

void Loop::add(Producer& producer) {
    producers_.push_back(&producer);
    add_link(producer);
}

void Loop::add(Consumer& consumer) {
    consumers_.push_back(&consumer);
    add_link(consumer);
}

void Loop::add_link(Link& link) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = links_.size()}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, link.descriptor(), &event);
    links_.push_back({&link});
}

void Loop::run(Nanoseconds publish_until) {
    last_progress_ = now();
    for (const Watched& watched : links_) {
        watched.link->take_unread();
        if (watched.link->failed()) fail(watched.link->failure());
    }
    while (!finished() && !progress_.failed) {
        const bool at_once = send_round();
        watch_output();
        wait(at_once);
        note_progress();
        if (!producers_.empty() && now() >= publish_until)
            for (Producer* producer : producers_) producer->stop();
    }
    for (Consumer* consumer : consumers_) consumer->acknowledge_rest();
}

/// One message in flight: the next leaves when the last is back.
bool Loop::held() const {
    if (!scenario_.ping_pong) return false;
    const std::array published{producers_.front()->published()};
    return arrivals_.delivered < checker_.due(published);
}

/// Whether some producer could go on at once.
bool Loop::send_round() {
    bool more = false;
    const bool hold = held();
    for (Producer* producer : producers_) {
        const bool sent = producer->send_some(hold);
        more |= sent && !producer->wants_to_write();
    }
    // With a rate or one message in flight the next one is not ready yet: do not ask the kernel twice.
    return more && !scenario_.ping_pong && scenario_.rate <= 0;
}

void Loop::watch_output() {
    for (std::size_t at = 0; at < links_.size(); ++at) {
        Watched& watched = links_[at];
        if (watched.link->wants_to_write() == watched.for_output) continue;
        watched.for_output = !watched.for_output;
        epoll_event event{.events = EPOLLIN | (watched.for_output ? std::uint32_t{EPOLLOUT} : 0u),
                          .data = {.u64 = at}};
        epoll_ctl(epoll_, EPOLL_CTL_MOD, watched.link->descriptor(), &event);
    }
}

void Loop::wait(bool at_once) {
    constexpr Nanoseconds longest = 50'000'000;  // to look at the time and at what the other thread did
    Nanoseconds timeout = at_once ? 0 : longest;
    if (!at_once && scenario_.rate > 0) {
        const Nanoseconds time = now();
        for (const Producer* producer : producers_)
            if (const Nanoseconds due = producer->next_due(); due != 0)
                timeout = std::clamp<Nanoseconds>(due - time, 0, timeout);
    }
    std::array<epoll_event, 128> events;
    const timespec limit{timeout / 1'000'000'000, timeout % 1'000'000'000};
    const int ready = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &limit, nullptr);
    for (int i = 0; i < ready; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        Link& link = *links_[event.data.u64].link;
        if ((event.events & EPOLLOUT) != 0) {
            link.writable();
            link.flush();
        }
        if ((event.events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) link.read(buffer_.get());
        if (link.failed()) return fail(link.failure());
    }
}

bool Loop::finished() {
    for (const Producer* producer : producers_)
        if (!producer->finished()) return false;
    if (!producers_.empty() && progress_.due == Progress::unknown) {
        std::vector<std::uint64_t> published;
        for (const Producer* producer : producers_) published.push_back(producer->published());
        progress_.due = checker_.due(published);
    }
    return consumers_.empty() || arrivals_.delivered >= progress_.due;
}

void Loop::note_progress() {
    std::uint64_t confirmed = 0;
    if (!producers_.empty()) {
        std::uint64_t published = 0;
        for (const Producer* producer : producers_)
            published += producer->published(), confirmed += producer->confirmed();
        progress_.published.store(published, std::memory_order_relaxed);
    }
    if (!consumers_.empty()) progress_.delivered.store(arrivals_.delivered, std::memory_order_relaxed);
    const std::uint64_t seen = progress_.published.load(std::memory_order_relaxed) +
                               progress_.delivered.load(std::memory_order_relaxed) + confirmed;
    const Nanoseconds time = now();
    if (seen != progress_seen_) {
        progress_seen_ = seen;
        last_progress_ = time;
    } else if (static_cast<double>(time - last_progress_) > scenario_.patience * 1e9) {
        fail(fmt::format(
            "nothing was published, confirmed or delivered for {} s: {} published, {} delivered, {} due",
            scenario_.patience, progress_.published.load(), progress_.delivered.load(),
            progress_.due == Progress::unknown ? "not yet known" : std::to_string(progress_.due)));
    }
}

void Loop::fail(std::string why) {
    failure_ = std::move(why);
    progress_.failed = true;
}

}  // namespace trilby::perf
