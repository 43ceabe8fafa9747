// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/writer.hpp"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "broker/journal/aside.hpp"
#include "broker/journal/records.hpp"

namespace trilby::broker::journal {

namespace {

/// The last two segments are never reclaimed: one is being written, the other's end is only now being told.
constexpr std::size_t untouched_segments = 2;
constexpr std::size_t reclaim_from_segments = 4;
constexpr std::uint64_t scan_per_octet = 4;
constexpr auto at_once = Writer::Clock::time_point::max();

std::uint64_t random_number() {
    std::random_device device;
    return (std::uint64_t{device()} << 32 | device()) | 1;
}

}  // namespace

Writer::Writer(Files& files, std::vector<ShardStreams*> streams, State state, WriterOptions options)
    : files_(files),
      streams_(std::move(streams)),
      options_(std::move(options)),
      journal_(state.journal == 0 ? random_number() : state.journal),
      next_segment_(state.next_segment),
      sequence_(state.next_sequence),
      synced_sequence_(state.next_sequence - 1),
      previous_end_(state.previous_end),
      highest_(state.highest),
      living_(std::move(state.living)),
      head_(state.newest_head.value_or(SegmentHead{})),
      damaged_through_(state.damaged_through),
      spares_(files_, {options_.segment_size, options_.hasty_size, options_.spare_segments}),
      promised_(state.read_through) {
    for (const State::Segment& segment : state.segments) {
        segments_.push_back({segment.number, segment.size, segment.size, segment.damaged});
        octets_ += segment.size;
    }
    for (std::size_t i = 0; i < most_shards; ++i) written_[i].store(highest_[i], std::memory_order_relaxed);
}

Writer::~Writer() {
    if (file_ != -1) files_.close(file_);
}

// ---- A round.

bool Writer::step(Clock::time_point now) {
    Round round;
    const bool news = snapshot(round);
    leave_damage_behind();
    const std::uint64_t scanned_before = reclaim_.position();
    // Copies that found no room wait for it.
    if (reclaim_.copies().empty() && reclaim_due())
        reclaim_.scan(segments_.front().number, segments_.front().size,
                      std::max(scan_per_octet * round.size, news ? 0 : options_.scan_at_least));
    const bool due = unsynced_ && now >= unsynced_since_ + options_.settle_delay;
    if (!news && reclaim_.copies().empty()) {
        if (due) {
            sync();
            tell();
        }
        return remove_oldest(finishing_ ? at_once : now) || due || reclaim_.position() != scanned_before;
    }
    if (!unsynced_) unsynced_since_ = now;
    try {
        write_batch(round, Reserve::untouched);
    } catch (const Shortage&) {
        if (remove_oldest(at_once)) return true;
        if (!leave_settles(round)) throw;
        write_batch(round, Reserve::usable);
        round.promises = true;  // at once, for it may free a segment
    }
    for (std::size_t i = 0; i < streams_.size(); ++i) {
        streams_[i]->publishes.take(round.publishes[i]);
        streams_[i]->settles.take(round.settles[i]);
    }
    if (options_.fault == WriterOptions::Fault::confirm_before_sync) tell();
    const bool copied =
        !reclaim_.copies().empty() && options_.fault != WriterOptions::Fault::remove_before_sync;
    reclaim_.written();
    if (round.promises || copied || due) sync();
    if (!unsynced_) tell();
    remove_oldest(now);
    return true;
}

void Writer::leave_damage_behind() {
    try {
        // The newest head says what is needed no more, so there must be one from after the damage.
        if (damaged_through_ != 0 && file_ == -1) roll(0, Reserve::untouched);
        while (has_damage() && segments_.size() <= untouched_segments) roll(0, Reserve::untouched);
    } catch (const Shortage&) {
        // Another time: what came in goes first.
    }
}

bool Writer::leave_settles(Round& round) {
    // Copies that were made before these settles may bring back what they settle.
    reclaim_.again();
    round.size = 0;
    for (std::size_t i = 0; i < streams_.size(); ++i) {
        round.publishes[i] = streams_[i]->publishes.taken();
        pieces_.clear();
        streams_[i]->settles.gather(round.settles[i], pieces_);
        round.settles[i] = streams_[i]->settles.taken();
        for (const iovec& piece : pieces_) {
            const char* at = static_cast<const char*>(piece.iov_base);
            const char* const end = at + piece.iov_len;
            while (at != end) {
                const std::size_t size = alone(at);
                if (size == 0) break;
                at += size;
                round.settles[i] += size;
            }
            if (at != end) break;
        }
        round.size += round.settles[i] - streams_[i]->settles.taken();
    }
    return round.size != 0;
}

std::size_t Writer::alone(const char* record) const {
    const auto head = load<RecordHead>(record);
    std::size_t size = head.length;
    if (head.type == RecordType::commit) {
        // All of a transaction, or nothing.
        for (std::uint32_t left = head.times; left != 0; --left) {
            const std::size_t next = alone(record + size);
            if (next == 0) return 0;
            size += next;
        }
        return size;
    }
    if (head.type != RecordType::settle && head.type != RecordType::mark) return 0;
    for (unsigned i = 0; i < head.count; ++i) {
        const auto run = load<Run>(record + sizeof head + i * sizeof(Run));
        const MessageId last = run.first + run.count - 1;
        const std::uint64_t shard = last >> 56;
        if (shard >= most_shards || (last & ((std::uint64_t{1} << 56) - 1)) > highest_[shard]) return 0;
    }
    return size;
}

bool Writer::has_news() const {
    return std::any_of(streams_.begin(), streams_.end(), [](const ShardStreams* shard) {
        return shard->publishes.tail() != shard->publishes.taken() ||
               shard->settles.tail() != shard->settles.taken();
    });
}

bool Writer::snapshot(Round& round) {
    // A settle that is seen was caused by a publish that was pushed before it, so the later look at the
    // publishes must see that one too.
    const auto look_at_settles = [&] {
        for (const ShardStreams* shard : streams_) round.settles.push_back(shard->settles.tail());
    };
    const auto look_at_publishes = [&] {
        for (const ShardStreams* shard : streams_) round.publishes.push_back(shard->publishes.tail());
    };
    const bool wrong = options_.fault == WriterOptions::Fault::publishes_looked_at_first;
    wrong ? look_at_publishes() : look_at_settles();
    if (options_.between_looks) options_.between_looks();
    wrong ? look_at_settles() : look_at_publishes();
    for (std::size_t i = 0; i < streams_.size(); ++i) {
        const std::uint64_t publishes = round.publishes[i] - streams_[i]->publishes.taken();
        const std::uint64_t settles = round.settles[i] - streams_[i]->settles.taken();
        round.promises = round.promises || publishes != 0;
        round.size += publishes + settles;
    }
    return round.size != 0;
}

void Writer::gather(const Round& round) {
    if (catalog_record_size_ != 0) pieces_.push_back({catalog_record_.data(), catalog_record_size_});
    for (std::size_t i = 0; i < streams_.size(); ++i)
        streams_[i]->publishes.gather(round.publishes[i], pieces_);
    // Copies stand before the settles of the same batch, which were not known when they were made.
    const std::string& copies = reclaim_.copies();
    if (!copies.empty()) pieces_.push_back({const_cast<char*>(copies.data()), copies.size()});
    for (std::size_t i = 0; i < streams_.size(); ++i) streams_[i]->settles.gather(round.settles[i], pieces_);
}

void Writer::write_batch(Round& round, Reserve reserve) {
    BatchHead head{};
    const std::uint64_t catalog = catalog_.load(std::memory_order_relaxed);
    const std::uint64_t most = sizeof head + catalog_record_.size() + round.size + reclaim_.copies().size();
    if (file_ == -1 || segments_.back().size + most > segments_.back().capacity) roll(most, reserve);

    catalog_record_size_ = catalog == noted_catalog_ ? 0 : catalog_record_.size();
    if (catalog_record_size_ != 0) write_catalog(catalog_record_.data(), catalog);
    pieces_.clear();
    pieces_.push_back({&head, sizeof head});
    gather(round);

    head.size = catalog_record_size_ + round.size + reclaim_.copies().size();
    const std::uint64_t needed = sizeof head + head.size;
    head.magic = BatchHead::expected_magic;
    head.sequence = sequence_;
    head.back = static_cast<std::uint32_t>(sequence_ - synced_sequence_);
    head.digest = seed_;
    Segment& segment = segments_.back();
    std::uint64_t offset = segment.size + sizeof head;
    for (std::size_t i = 1; i < pieces_.size(); ++i) {
        const char* at = static_cast<const char*>(pieces_[i].iov_base);
        const char* const end = at + pieces_[i].iov_len;
        while (at != end) {
            const auto record = load<RecordHead>(at);
            head.digest = crc32c(head.digest, &record.checksum, sizeof record.checksum);
            ++head.count;
            if (record.type == RecordType::commit) round.promises = true;
            at += record.length;
        }
    }
    head.checksum = checksum_of(head, seed_);
    files_.write(file_, segment.size, pieces_);
    // Before anybody can learn of a place there.
    end_.store(segment.number << 32 | (segment.size + needed) / 8, std::memory_order_release);
    // The pieces may have been changed by a short write; what was written is read from the streams once more.
    pieces_.clear();
    gather(round);
    for (const iovec& piece : pieces_) {
        apply(static_cast<const char*>(piece.iov_base), piece.iov_len, offset);
        offset += piece.iov_len;
    }
    for (std::size_t i = 0; i < streams_.size(); ++i)
        if (written_[i].load(std::memory_order_relaxed) != highest_[i])
            written_[i].store(highest_[i], std::memory_order_release);
    noted_catalog_ = catalog;
    batches_.store(sequence_, std::memory_order_release);
    segment.size += needed;
    octets_ += needed;
    ++sequence_;
    unsynced_ = true;
}

void Writer::apply(const char* records, std::size_t size, std::uint64_t offset) {
    const std::uint64_t segment = segments_.back().number;
    for (const char* at = records; at != records + size;) {
        const auto record = load<RecordHead>(at);
        const char* const fields = at + sizeof record;
        switch (record.type) {
            case RecordType::publish: {
                std::array<StoredQueue, 16> few;
                std::vector<StoredQueue> many;
                if (queue_count(record) > few.size()) many.resize(queue_count(record));
                const std::span<StoredQueue> queues =
                    many.empty() ? std::span(few).first(queue_count(record)) : std::span(many);
                std::memcpy(queues.data(), fields, queues.size_bytes());
                living_.publish(record.id, {segment, offset + static_cast<std::uint64_t>(at - records)},
                                record.length, queues);
                const std::uint64_t shard = record.id >> 56;
                if (shard < most_shards)
                    highest_[shard] = std::max(highest_[shard], record.id & ((std::uint64_t{1} << 56) - 1));
                break;
            }
            case RecordType::settle:
                for (unsigned i = 0; i < record.count; ++i) {
                    const auto run = load<Run>(fields + i * sizeof(Run));
                    living_.settle(record.id, run.first, run.count);
                }
                break;
            case RecordType::mark:
                for (unsigned i = 0; i < record.count; ++i) {
                    const auto run = load<Run>(fields + i * sizeof(Run));
                    living_.mark(record.id, run.first, run.count, record.times);
                }
                break;
            case RecordType::commit:
            case RecordType::catalog: break;
        }
        at += record.length;
    }
}

void Writer::sync() {
    files_.sync(file_);
    synced_sequence_ = sequence_ - 1;
    promised_.store(synced_sequence_, std::memory_order_relaxed);
    unsynced_ = false;
    second_copy_unsynced_ = false;
}

void Writer::tell() {
    for (ShardStreams* shard : streams_) {
        shard->safe_publishes.store(shard->publishes.taken(), std::memory_order_release);
        shard->safe_settles.store(shard->settles.taken(), std::memory_order_release);
    }
}

Writer::Clock::time_point Writer::next_due() const {
    const Clock::time_point sync_due =
        unsynced_ ? unsynced_since_ + options_.settle_delay : Clock::time_point::max();
    return std::min(sync_due, removal_due_.value_or(Clock::time_point::max()));
}

void Writer::finish() {
    finishing_ = true;
    while (step(Clock::time_point::max() - std::chrono::hours(1))) {
    }
    if (file_ == -1) return;
    if (unsynced_) {
        sync();
        tell();
    }
    if (segments_.back().size + sizeof(BatchHead) + catalog_record_.size() > segments_.back().capacity)
        return;
    Round nothing;
    snapshot(nothing);
    write_batch(nothing, Reserve::untouched);
    sync();
}

// ---- Segments.

void Writer::roll(std::uint64_t least, Reserve reserve) {
    const std::uint64_t number = next_segment_;
    if (number > most_segments)
        throw std::length_error("the journal has had as many segments as it can number");
    if (padded(batches_at + least) > most_in_segment)
        throw std::length_error("what was handed over at once is larger than a segment can be");
    const Spares::Fresh fresh = spares_.take(padded(batches_at + least), segment_name(number), reserve);
    ++next_segment_;
    if (options_.fault != WriterOptions::Fault::no_directory_sync) files_.sync_directory();
    if (file_ != -1) {
        // The head of the next one says where this one ended, so it must be there.
        if (unsynced_ && options_.fault != WriterOptions::Fault::roll_without_sync) sync();
        files_.close(file_);
        previous_end_ = segments_.back().size;
    }
    file_ = fresh.file;
    const std::uint64_t previous = segments_.empty() ? 0 : segments_.back().number;
    const std::size_t needless = dead(segments_.size() + 1);

    head_ = {};
    head_.magic = SegmentHead::expected_magic;
    head_.journal = journal_;
    head_.segment = number;
    head_.sequence = sequence_;
    head_.previous = previous;
    head_.previous_end = previous == 0 ? 0 : previous_end_;
    head_.oldest = segments_.empty() ? number : segments_[needless].number;
    std::copy(highest_.begin(), highest_.end(), head_.highest);
    head_.checksum = checksum_of(head_);
    seed_ = seed_of(journal_, number);
    noted_catalog_ = 0;
    segments_.push_back({number, batches_at, fresh.capacity});
    octets_ += batches_at;
    write_head(0, file_);
    write_head(second_head_at, file_);
    second_copy_unsynced_ = false;
    // Before there is a batch behind it: one without a head is damage then, and never a power cut's doing.
    if (options_.fault != WriterOptions::Fault::head_without_sync) files_.sync(file_);
}

void Writer::write_head(std::uint64_t at, Files::File file) {
    iovec piece{&head_, sizeof head_};
    files_.write(file, at, {&piece, 1});
}

bool Writer::note_oldest(std::uint64_t number) {
    // Heads of old say it for the time when they were written, and are not relied on.
    if (head_.magic == SegmentHead::first_magic) return true;
    if (head_.magic != SegmentHead::expected_magic) return false;  // unreadable, until there is another one
    Files::File file = file_;
    if (file == -1) {
        try {
            file = files_.open(segment_name(segments_.back().number));
        } catch (const std::system_error& error) {
            if (!is_shortage(error)) throw;
            return false;
        }
    }
    // One copy is whole at any time.
    if (std::exchange(second_copy_unsynced_, false)) files_.sync(file);
    head_.oldest = number;
    head_.checksum = checksum_of(head_);
    write_head(0, file);
    files_.sync(file);
    write_head(second_head_at, file);
    second_copy_unsynced_ = true;
    if (file != file_) files_.close(file);
    return true;
}

// ---- Reclaim: space comes back at the oldest segment only, so that a settle is never forgotten before its
// message.

bool Writer::reclaim_due() const {
    if (finishing_) return false;  // it can wait for the next start
    if (segments_.size() <= untouched_segments || living_.in_segment(segments_.front().number) == 0)
        return false;
    if (has_damage()) return true;
    return segments_.size() > reclaim_from_segments && octets_ > 2 * living_.octets() + options_.segment_size;
}

std::size_t Writer::dead(std::size_t segments) const {
    std::size_t dead = 0;
    while (segments > untouched_segments + dead && living_.in_segment(segments_[dead].number) == 0) ++dead;
    return dead;
}

bool Writer::remove_oldest(Clock::time_point now) {
    const std::size_t all = dead(segments_.size());
    std::size_t going = 0;
    if (head_.magic == SegmentHead::expected_magic)
        while (going != all && segments_[going].number < head_.oldest) ++going;
    if (going == all) {
        removal_due_.reset();
    } else {
        if (!removal_due_) removal_due_ = now == at_once ? now : now + options_.removal_delay;
        if (has_damage() || segments_.size() > reclaim_from_segments || now >= *removal_due_) {
            removal_due_.reset();
            // What settled or copied their messages must be there before they go.
            if (unsynced_ && options_.fault != WriterOptions::Fault::remove_before_sync) {
                sync();
                tell();
            }
            if (note_oldest(segments_[all].number)) {
                going = all;
            } else if (now != at_once) {
                removal_due_ = now + options_.removal_delay;
            }
        }
    }
    if (going == 0) return false;
    reclaim_.leave();
    for (; going != 0; --going) {
        const Segment oldest = segments_.front();
        const std::string name = segment_name(oldest.number);
        if (oldest.damaged) {
            move_aside(files_, name);
        } else if (!spares_.keep(name, oldest.capacity)) {
            files_.remove(name);
        }
        // Each removal is there before the next.
        if (options_.fault != WriterOptions::Fault::no_directory_sync) files_.sync_directory();
        segments_.pop_front();
        octets_ -= oldest.size;
    }
    return true;
}

}  // namespace trilby::broker::journal
