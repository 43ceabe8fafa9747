// SPDX-License-Identifier: Apache-2.0
#include "broker/storage/bodies.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "broker/journal/records.hpp"

namespace trilby::broker {

namespace {
constexpr std::size_t most_open_segments = 4;
constexpr std::size_t most_reading = 32;
constexpr std::uint64_t no_end = UINT64_MAX;
constexpr std::size_t long_record_kept = std::size_t{1} << 20;
/// Octets on their way to the spill file, above which publishers pause, and below which they go on.
constexpr std::size_t much_being_written = std::size_t{4} << 20;
constexpr std::size_t little_being_written = std::size_t{2} << 20;
}  // namespace

Bodies::Bodies(MessagePool& messages, Limits limits)
    : messages_(messages), limits_(limits), cache_(limits.cache_blocks) {}

Bodies::~Bodies() {
    for (const OpenSegment& segment : segments_) ::close(segment.file);
}

void Bodies::spill_to(std::filesystem::path directory, BackgroundIo& io, ShardIndex shard) {
    io_ = &io;
    shard_ = shard;
    spill_ = std::make_unique<Spill>(std::move(directory), io, shard, completed_, cache_);
}

Kept Bodies::keep_on_disk(Arrival& arrival, bool durable) {
    if (io_ == nullptr) return {};
    if (durable && arrival.stored() != 0) {
        ++in_journal_;
        taken_ += entry_size;
        return Kept::stored(arrival.stored());
    }
    // One place for all its queues here.
    if (!spill_->add_again(arrival.spilled)) {
        const auto spilled = spill_->add(arrival.publication());
        if (!spilled) return {};
        arrival.spilled = *spilled;
        taken_ += arrival.weight();
    }
    taken_ += entry_size;
    behind_ = behind_ || spill_->being_written() > much_being_written;
    added_while_behind_ = behind_;
    return Kept::spilled(arrival.spilled.place);
}

Kept Bodies::take_over(Kept kept, bool durable) {
    if (!kept.in_memory()) return restore(kept.stored_id());
    Message* const message = kept.message();
    if (octets_ >= limits_.memory) try {
            Arrival arrival(message, messages_);
            if (const Kept on_disk = keep_on_disk(arrival, durable); on_disk != Kept{}) {
                messages_.release(message);
                return on_disk;
            }
        } catch (const std::bad_alloc&) {  // it stays where it is
        }
    octets_ += message->weight();
    return kept;
}

void Bodies::forget_long_record() {
    if (long_record_.capacity() > long_record_kept) long_record_ = {};
}

void Bodies::drop_on_disk(Kept kept) {
    forget_long_record();
    if (kept.is_spilled()) {
        spill_->remove(kept.place());
    } else if (--in_journal_ == 0) {
        // A segment that has gone takes space as long as it is open.
        for (const OpenSegment& segment : segments_) ::close(segment.file);
        segments_.clear();
    }
}

void Bodies::look() {
    forget_long_record();
    seen_ = completed_.load(std::memory_order_seq_cst);
    if (std::exchange(waits_for_journal_, false)) journal_->want_calls(false);
    std::erase_if(reading_,
                  [](const auto& one) { return one->request.done.load(std::memory_order_acquire); });
    if (spill_ == nullptr) return;
    spill_->collect();
    if (spill_->being_written() < little_being_written) behind_ = added_while_behind_ = false;
}

std::expected<Publication, Bodies::Missing> Bodies::read(Kept kept) {
    forget_long_record();
    return kept.is_spilled() ? read_spilled(kept.place()) : read_stored(kept.stored_id());
}

std::expected<Publication, Bodies::Missing> Bodies::read_spilled(std::uint64_t place) {
    if (const char* record = spill_->in_memory(place)) return journal::publication_of(record);
    const std::uint64_t offset = Spill::block_of(place) * Spill::block_size + Spill::offset_of(place);
    const auto found = record({0, spill_->file(), no_end}, offset, place);
    if (!found) return std::unexpected(found.error());
    if (*found != nullptr) return journal::publication_of(*found);
    spdlog::error("a message is lost: the spill file is damaged at {}", offset);
    return std::unexpected(Missing::lost);
}

std::expected<Publication, Bodies::Missing> Bodies::read_stored(std::uint64_t id) {
    journal::Place last;
    // What is in the cache may be from before the message was written; it may also have been written to
    // another place since it was looked up, and its segment used again. Its record says whose it is.
    for (unsigned attempt = 0; attempt < 4; ++attempt) {
        const std::uint64_t batches = journal_->batches();
        const bool written = journal_->written(id);
        const auto place = journal_->place(id);
        if (!place && written) break;
        if (!place) {
            if (!std::exchange(waits_for_journal_, true)) {
                seen_batches_ = batches;
                journal_->want_calls(true);
            }
            return std::unexpected(Missing::not_yet);
        }
        last = *place;
        int file;
        const Opened opened = open_segment(place->segment, file);
        if (opened == Opened::gone) continue;
        if (opened == Opened::not_yet) return std::unexpected(Missing::not_yet);
        const journal::Place end = journal_->end_of_log();
        const Source source{place->segment, file, end.segment == place->segment ? end.offset : no_end};
        const auto found = record(source, place->offset, id);
        if (!found) return std::unexpected(found.error());
        if (*found != nullptr) return journal::publication_of(*found);
        cache_.drop(place->segment, place->offset / BlockCache::block_size);
        if (attempt != 0) close_segment(place->segment);
    }
    if (last.segment == 0) {
        spdlog::error("a message is lost: the journal has no place for {:016x}", id);
    } else {
        spdlog::error("a message is lost: {} is damaged at {}", journal::segment_name(last.segment),
                      last.offset);
    }
    return std::unexpected(Missing::lost);
}

std::expected<const char*, Bodies::Missing> Bodies::record(const Source& source, std::uint64_t offset,
                                                           std::uint64_t id) {
    // Before a block of the cache is given up for it.
    if (is_being_read(source.number, offset / BlockCache::block_size * BlockCache::block_size))
        return std::unexpected(Missing::not_yet);
    BlockCache::Block& block = cache_.get(source.number, offset / BlockCache::block_size);
    const std::size_t at = offset % BlockCache::block_size;
    const auto filled = [&](std::size_t needed) -> std::expected<bool, Missing> {
        if (block.valid >= needed) return true;
        const Got got = fill(source, block, needed);
        if (got == Got::not_yet) return std::unexpected(Missing::not_yet);
        return got == Got::all;
    };
    if (const auto there = filled(at + sizeof(journal::RecordHead)); !there || !*there)
        return there ? std::expected<const char*, Missing>(nullptr) : std::unexpected(there.error());
    const char* record = block.octets.get() + at;
    const auto head = journal::load<journal::RecordHead>(record);
    if (head.type != journal::RecordType::publish || head.id != id || head.length % 8 != 0 ||
        head.length < sizeof head)
        return nullptr;
    if (at + head.length <= BlockCache::block_size + BlockCache::overlap) {
        if (const auto there = filled(at + head.length); !there || !*there)
            return there ? std::expected<const char*, Missing>(nullptr) : std::unexpected(there.error());
    } else {
        // The checksum does not cover the length.
        struct stat status {};
        if (head.length > source.end - offset || ::fstat(source.file, &status) != 0 ||
            offset + head.length > static_cast<std::uint64_t>(status.st_size))
            return nullptr;
        long_record_.resize(head.length);
        std::size_t got = 0;
        const Got all = read_at(source, offset, long_record_.data(), got, head.length);
        if (all == Got::not_yet) return std::unexpected(Missing::not_yet);
        if (all != Got::all) return nullptr;
        record = long_record_.data();
    }
    if (journal::crc32c(0, record + 8, head.length - 8) != head.checksum || !journal::is_publish(record))
        return nullptr;
    return record;
}

Bodies::Got Bodies::fill(const Source& source, BlockCache::Block& block, std::size_t needed) {
    const std::uint64_t begin = block.index * BlockCache::block_size;
    const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(
        BlockCache::block_size + BlockCache::overlap, source.end - std::min(begin, source.end)));
    if (most < needed) return Got::some;
    const Got got = read_at(source, begin, block.octets.get(), block.valid, most);
    // The end of the file may come before the end of the block.
    return got == Got::not_yet ? got : block.valid >= needed ? Got::all : Got::some;
}

Bodies::Got Bodies::read_at(const Source& source, std::uint64_t offset, char* to, std::size_t& got,
                            std::size_t size) {
    if (is_being_read(source.number, offset)) return Got::not_yet;
    bool may_wait = !can_look_ || io_ == nullptr;
    while (got < size) {
        const iovec piece{to + got, size - got};
        const ssize_t octets =
            ::preadv2(source.file, &piece, 1, static_cast<off_t>(offset + got), may_wait ? 0 : RWF_NOWAIT);
        if (octets > 0) {
            got += static_cast<std::size_t>(octets);
        } else if (octets == 0 && may_wait) {
            return Got::some;
        } else if (octets == 0) {
            may_wait = true;  // some kernels say the same when they would have to wait
        } else if ((errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) && !may_wait) {
            can_look_ = false;
            may_wait = true;
        } else if (errno == EAGAIN && asked_file_ == source.number && asked_offset_ == offset) {
            may_wait = true;  // the system's cache does not hold it until it is looked at
        } else if (errno == EAGAIN) {
            ask(source, offset, size);
            return Got::not_yet;
        } else if (errno == ENOMEM) {
            try_again_later();
            return Got::not_yet;
        } else if (errno != EINTR) {
            spdlog::error("reading a waiting message failed: {}", std::generic_category().message(errno));
            return Got::some;
        }
    }
    return Got::all;
}

bool Bodies::is_being_read(std::uint64_t file, std::uint64_t offset) const {
    return std::any_of(reading_.begin(), reading_.end(), [&](const auto& one) {
        return one->file == file && one->offset == offset &&
               !one->request.done.load(std::memory_order_acquire);
    });
}

void Bodies::ask(const Source& source, std::uint64_t offset, std::uint64_t size) {
    if (reading_.size() >= most_reading) return;
    auto reading = std::make_unique<Reading>();
    reading->file = source.number;
    reading->offset = offset;
    BackgroundIo::Request& request = reading->request;
    // Without a handle to spare it is a pause.
    request.file = source.file == -1 ? -1 : ::fcntl(source.file, F_DUPFD_CLOEXEC, 0);
    request.offset = offset;
    request.size = size;
    request.shard = shard_;
    request.completed = &completed_;
    reading_.push_back(std::move(reading));
    io_->submit(request);
    asked_file_ = source.number;
    asked_offset_ = offset;
}

Bodies::Opened Bodies::open_segment(std::uint64_t number, int& file) {
    const auto found = std::find_if(segments_.begin(), segments_.end(),
                                    [&](const OpenSegment& segment) { return segment.number == number; });
    if (found != segments_.end()) {
        std::rotate(found, found + 1, segments_.end());
        file = segments_.back().file;
        return Opened::done;
    }
    // One that has gone takes space as long as it is open.
    std::erase_if(segments_, [](const OpenSegment& segment) {
        struct stat status {};
        if (::fstat(segment.file, &status) == 0 && status.st_nlink != 0) return false;
        ::close(segment.file);
        return true;
    });
    if (segments_.size() == most_open_segments) close_segment(segments_.front().number);
    try {
        file = journal_->open(number);
    } catch (const std::system_error& error) {
        if (error.code().value() == ENOENT) return Opened::gone;
        if (io_ == nullptr) throw;
        try_again_later();  // no handles, most likely
        return Opened::not_yet;
    }
    segments_.push_back({number, file});
    return Opened::done;
}

void Bodies::close_segment(std::uint64_t number) {
    std::erase_if(segments_, [&](const OpenSegment& segment) {
        if (segment.number != number) return false;
        ::close(segment.file);
        return true;
    });
}

}  // namespace trilby::broker
