// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/reclaim.hpp"

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "broker/journal/shortage.hpp"

namespace trilby::broker::journal {

namespace {
constexpr std::size_t read_size = std::size_t{256} << 10;
}  // namespace

Reclaim::~Reclaim() {
    leave();
}

void Reclaim::leave() {
    if (file_ != -1) files_.close(std::exchange(file_, -1));
}

void Reclaim::scan(std::uint64_t segment, std::uint64_t end, std::uint64_t budget) {
    if (file_ == -1) {
        try {
            file_ = files_.open(segment_name(segment));
        } catch (const std::system_error& error) {
            if (is_shortage(error)) return;  // another time
            throw;
        }
        segment_ = segment;
        seed_ = seed_of(journal_, segment);
        stuck_ = false;
        again();
    }
    const std::uint64_t at_before = at_;
    std::uint64_t buffer_at = at_;  // in the segment, of the buffer's first octet
    std::size_t used = 0;
    std::string buffer;
    const auto have = [&](std::uint64_t size) {
        if (buffer.size() - used >= size) return true;
        buffer.erase(0, used);
        buffer_at += used;
        used = 0;
        const std::size_t before = buffer.size();
        const std::uint64_t left = end - buffer_at - before;
        buffer.resize(before + std::min<std::uint64_t>(std::max<std::uint64_t>(read_size, size), left));
        const std::size_t got =
            files_.read(file_, buffer_at + before, std::span(buffer.data() + before, buffer.size() - before));
        buffer.resize(before + got);
        return buffer.size() >= size;
    };
    const auto go_to = [&](std::uint64_t place) {
        if (place - buffer_at > buffer.size()) {
            buffer.clear();
            buffer_at = place;
        }
        used = place - buffer_at;
    };
    const std::uint64_t stop = at_ + budget;
    while (at_ < end && at_ < stop && living_.in_segment(segment) != 0) {
        if (at_ == batch_end_) {
            if (!have(sizeof(BatchHead))) break;
            const auto head = load<BatchHead>(buffer.data() + used);
            if (head.magic == BatchHead::expected_magic && head.checksum == checksum_of(head, seed_)) {
                used += sizeof head;
                batch_end_ = std::min(at_ + sizeof head + head.size, end);
            } else {
                // A damaged head, which recovery went around as well: on to the next one.
                used += 8;
                batch_end_ += 8;
            }
        } else {
            // A damaged batch, of which recovery took nothing, must not lead beyond its end.
            const std::uint64_t left = batch_end_ - at_;
            if (!have(std::min<std::uint64_t>(sizeof(RecordHead), left))) break;
            const std::uint64_t length =
                left < sizeof(RecordHead) ? 0 : load<std::uint32_t>(buffer.data() + used);
            if (length < sizeof(RecordHead) || length % 8 != 0 || length > left) {
                go_to(batch_end_);
            } else {
                if (!have(length)) break;
                copy_record(buffer.data() + used, buffer_at + used);
                used += length;
            }
        }
        at_ = buffer_at + used;
    }
    if (at_ >= end) at_ = end;
    if (at_ == at_before && !std::exchange(stuck_, true))
        spdlog::error(
            "{} has been damaged since the start: {} of what lives in it cannot be read; the next start says "
            "where",
            segment_name(segment), living_.in_segment(segment));
}

void Reclaim::copy_record(const char* record, std::uint64_t at) {
    const auto head = load<RecordHead>(record);
    if (head.type != RecordType::publish || !living_.is_at(head.id, {segment_, at})) return;
    // Damaged since it was read; sealed once more it would pass for sound.
    if (crc32c(0, record + 8, head.length - 8) != head.checksum) return;
    std::vector<Living::Holder> holders;
    living_.each_holder(head.id, [&](Living::Holder holder) { holders.push_back(holder); });

    const std::size_t fields_at = sizeof head + queue_count(head) * sizeof(StoredQueue);
    const std::size_t size = head.length - (queue_count(head) - holders.size()) * sizeof(StoredQueue);
    const std::size_t start = copies_.size();
    copies_.resize(start + size);
    char* to = copies_.data() + start;
    RecordHead copy = head;
    set_queue_count(copy, holders.size());
    std::memcpy(to, &copy, sizeof copy);
    for (std::size_t i = 0; i < holders.size(); ++i)
        std::memcpy(to + sizeof copy + i * sizeof(StoredQueue), &holders[i].queue, sizeof(StoredQueue));
    std::memcpy(to + sizeof copy + holders.size() * sizeof(StoredQueue), record + fields_at,
                head.length - fields_at);
    seal_record(to, static_cast<std::uint32_t>(size));

    for (const Living::Holder& holder : holders) {
        if (holder.deliveries == 0) continue;
        constexpr std::size_t mark_size = sizeof(RecordHead) + sizeof(Run);
        const std::size_t mark_at = copies_.size();
        copies_.resize(mark_at + mark_size);
        const RecordHead mark{.length = 0,
                              .checksum = 0,
                              .type = RecordType::mark,
                              .zero = 0,
                              .count = 1,
                              .times = holder.deliveries,
                              .id = holder.queue};
        const Run run{head.id, 1};
        std::memcpy(copies_.data() + mark_at, &mark, sizeof mark);
        std::memcpy(copies_.data() + mark_at + sizeof mark, &run, sizeof run);
        seal_record(copies_.data() + mark_at, mark_size);
    }
}

}  // namespace trilby::broker::journal
