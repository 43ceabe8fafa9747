// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/journal.hpp"

#include <chrono>
#include <new>
#include <stdexcept>
#include <system_error>

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include "protocol/quoted.hpp"

namespace trilby::broker::journal {

// ---- A shard's end.

MessageId End::publish(std::span<const StoredQueue> queues, const Publication& publication) {
    const std::size_t size = publish_size(queues.size(), publication.names.size() + publication.tail.size());
    const MessageId id = next_id();
    write_publish(streams_.publishes.reserve(size), id, stamp(), queues, publication);
    streams_.publishes.push(size);
    news_ = true;
    return id;
}

bool End::out_of_space() const {
    return journal_.out_of_space();
}

std::optional<Place> End::place(MessageId id) const {
    return journal_.writer_->place(id);
}
bool End::written(MessageId id) const {
    return journal_.writer_->written(id);
}
std::uint64_t End::batches() const {
    return journal_.writer_->batches();
}
Place End::end_of_log() const {
    return journal_.writer_->end();
}
int End::open(std::uint64_t segment) const {
    return journal_.files_.open(segment_name(segment));
}

std::uint64_t End::stamp() {
    if (stamp_ == 0) stamp_ = journal_.time();
    return stamp_;
}

void End::gather(RecordType type, StoredQueue queue, MessageId message) {
    if (!gathered_.empty()) {
        Gathered& last = gathered_.back();
        if (last.type == type && last.queue == queue && last.run.first + last.run.count == message) {
            ++last.run.count;
            return;
        }
    }
    gathered_.push_back({type, queue, {message, 1}});
}

void End::flush() {
    for (std::size_t at = 0; at < gathered_.size();) {
        const Gathered& first = gathered_[at];
        runs_.clear();
        for (; at < gathered_.size() && gathered_[at].type == first.type &&
               gathered_[at].queue == first.queue && runs_.size() < UINT16_MAX;
             ++at)
            runs_.push_back(gathered_[at].run);
        const std::size_t size = runs_size(runs_.size());
        write_runs(streams_.settles.reserve(size), first.type, first.queue, runs_,
                   first.type == RecordType::mark ? 1 : 0);
        streams_.settles.push(size);
        news_ = true;
    }
    gathered_.clear();
    stamp_ = 0;
    if (std::exchange(news_, false)) journal_.wake();
}

MessageId End::Unit::publish(std::span<const StoredQueue> queues, const Publication& publication) {
    const std::size_t size = publish_size(queues.size(), publication.names.size() + publication.tail.size());
    const MessageId id = end_.next_id();
    records_.resize(records_.size() + size);
    ++count_;
    write_publish(records_.data() + records_.size() - size, id, end_.stamp(), queues, publication);
    return id;
}

void End::Unit::settle(StoredQueue queue, MessageId message) {
    const Run run{message, 1};
    records_.resize(records_.size() + runs_size(1));
    ++count_;
    write_runs(records_.data() + records_.size() - runs_size(1), RecordType::settle, queue, {&run, 1});
}

std::uint64_t End::commit(Unit unit) {
    flush();  // what was settled before stands before it
    const std::size_t size = unit.records_.size() + commit_size;
    char* const to = streams_.settles.reserve(size);
    write_commit(to, unit.count_);
    std::memcpy(to + commit_size, unit.records_.data(), unit.records_.size());
    streams_.settles.push(size);
    news_ = true;
    return streams_.settles.position();
}

// ---- The journal.

Journal::Journal(const std::filesystem::path& directory, std::size_t shards, Remembered remembered)
    : files_(directory) {
    if (shards > most_shards)
        throw std::runtime_error(
            fmt::format("the journal has room for {} threads, and {} were asked for", most_shards, shards));
    recovered_ = recover(files_, remembered);
    number_ = recovered_->state.journal;
    if (number_ == 0) recovered_->state.journal = remembered.journal;
    const State& state = recovered_->state;
    const auto now = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                                    std::chrono::system_clock::now().time_since_epoch())
                                                    .count());
    first_stamp_ = std::max(now, state.last_stamp + 1);  // whatever became of the machine's clock
    for (std::size_t i = 0; i < shards; ++i)
        ends_.push_back(std::make_unique<End>(*this, static_cast<ShardIndex>(i), state.highest[i] + 1));
}

void Journal::keep_all_aside() {
    for (State::Segment& segment : recovered_->state.segments) {
        segment.damaged = true;
        recovered_->state.damaged_through = std::max(recovered_->state.damaged_through, segment.number);
    }
}

std::uint64_t Journal::time() const {
    return first_stamp_ + static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                                         std::chrono::steady_clock::now() - started_)
                                                         .count());
}

// With a thread `stop` only waits for it.
Journal::~Journal() {  // NOLINT(bugprone-exception-escape)
    if (thread_.joinable()) stop();
}

void Journal::begin(Moved moved, WriterOptions options) {
    moved_ = std::move(moved);
    told_.resize(ends_.size() * 2);
    std::vector<ShardStreams*> streams;
    for (const auto& end : ends_) streams.push_back(&end->streams());
    clear_away(files_, *recovered_);
    writer_ = std::make_unique<Writer>(files_, std::move(streams), std::move(recovered_->state),
                                       std::move(options));
    recovered_.reset();
}

void Journal::start(Moved moved, Failed failed) {
    begin(std::move(moved), {});
    failed_ = std::move(failed);
    thread_ = std::jthread([this] { run(); });
    ::pthread_setname_np(thread_.native_handle(), "journal");
    preparer_ = std::jthread([this] { prepare(); });
    ::pthread_setname_np(preparer_.native_handle(), "segments");
}

void Journal::stop() {
    if (!thread_.joinable()) return finish();
    stopping_ = true;
    {
        const std::lock_guard lock(mutex_);
        wake_up_ = true;
    }
    woken_.notify_one();
    thread_.join();
    {
        const std::lock_guard lock(spare_mutex_);
        spare_over_ = true;
    }
    spare_wanted_.notify_one();
    preparer_.join();
}

void Journal::look_after_spares() {
    if (!writer_->wants_spare()) return;
    {
        const std::lock_guard lock(spare_mutex_);
        if (!prepared_.empty()) writer_->add_spare(std::exchange(prepared_, {}));
        if (spare_asked_ || !writer_->wants_spare()) return;
        spare_asked_ = true;
    }
    spare_wanted_.notify_one();
}

void Journal::prepare() {
    constexpr std::chrono::seconds pause_when_full{1};
    bool complained = false;
    for (std::uint64_t number = 1;; ++number) {
        std::unique_lock lock(spare_mutex_);
        spare_wanted_.wait(lock, [this] { return spare_over_ || (spare_asked_ && prepared_.empty()); });
        if (spare_over_) return;
        lock.unlock();
        std::string name = "spare-made-" + std::to_string(number);
        bool made = true;
        try {
            files_.close(files_.create(name, WriterOptions{}.segment_size));
            complained = false;
        } catch (const std::system_error& error) {
            made = false;
            // The writer will meet what lacks itself, and say so.
            if (!is_shortage(error) && !std::exchange(complained, true))
                spdlog::warn("a segment cannot be made ahead, and is tried again each second: {}",
                             protocol::printable(error.what()));
        } catch (const std::bad_alloc&) {
            made = false;
        }
        lock.lock();
        if (made) {
            prepared_ = std::move(name);
            spare_asked_ = false;
        } else {
            spare_wanted_.wait_for(lock, pause_when_full, [this] { return spare_over_; });
        }
    }
}

void Journal::wake() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!asleep_.load(std::memory_order_relaxed) || !asleep_.exchange(false)) return;
    {
        const std::lock_guard lock(mutex_);
        wake_up_ = true;
    }
    woken_.notify_one();
}

void Journal::tell() {
    std::atomic_thread_fence(std::memory_order_seq_cst);  // safe positions first, then who sleeps
    for (std::size_t i = 0; i < ends_.size(); ++i) {
        const std::uint64_t publishes = ends_[i]->safe_publishes();
        const std::uint64_t settles = ends_[i]->safe_settles();
        if (publishes == told_[2 * i] && settles == told_[2 * i + 1] && !ends_[i]->wants_calls()) continue;
        told_[2 * i] = publishes;
        told_[2 * i + 1] = settles;
        moved_(i);
    }
}

bool Journal::turn(Writer::Clock::time_point now) {
    const bool busy = writer_->step(now);
    tell();
    return busy;
}

void Journal::finish() {
    writer_->finish();
    tell();
}

void Journal::run() {
    constexpr std::chrono::milliseconds retry{200};
    const auto sleep_until = [&](Writer::Clock::time_point due) {
        std::unique_lock lock(mutex_);
        const auto woken = [&] { return std::exchange(wake_up_, false); };
        if (due == Writer::Clock::time_point::max()) {
            woken_.wait(lock, woken);
        } else {
            woken_.wait_until(lock, due, woken);
        }
    };
    try {
        for (;;) {
            bool busy;
            try {
                busy = turn(Writer::Clock::now());
                look_after_spares();
                if (out_of_space_.exchange(false, std::memory_order_relaxed))
                    spdlog::info("the journal has a segment again, publishers go on");
            } catch (const Shortage& error) {
                if (!out_of_space_.exchange(true, std::memory_order_relaxed))
                    spdlog::warn("the journal cannot begin a segment, publishers wait until it can: {}",
                                 error.what());
                if (stopping_) return;
                sleep_until(Writer::Clock::now() + retry);
                continue;
            }
            if (busy) continue;
            if (stopping_) break;
            writer_->make_reserve();
            asleep_.store(true, std::memory_order_relaxed);
            std::atomic_thread_fence(std::memory_order_seq_cst);
            if (!writer_->has_news()) sleep_until(writer_->next_due());
            asleep_.store(false, std::memory_order_relaxed);
        }
        finish();
    } catch (const std::exception& error) {
        failed_(error.what());
    }
}

}  // namespace trilby::broker::journal
