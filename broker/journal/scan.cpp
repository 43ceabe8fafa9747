// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/scan.hpp"

#include "broker/journal/records.hpp"

namespace trilby::broker::journal {

namespace {

bool is_record(const char* at, std::uint64_t left) {
    if (left < sizeof(RecordHead)) return false;
    const auto head = load<RecordHead>(at);
    if (head.length < sizeof head || head.length % 8 != 0 || head.length > left ||
        crc32c(0, at + 8, head.length - 8) != head.checksum)
        return false;
    switch (head.type) {
        case RecordType::publish: return queue_count(head) != 0 && is_publish(at);
        case RecordType::settle:
        case RecordType::mark: {
            if (sizeof head + head.count * sizeof(Run) != head.length) return false;
            for (unsigned i = 0; i < head.count; ++i)
                if (load<Run>(at + sizeof head + i * sizeof(Run)).count > UINT32_MAX) return false;
            return true;
        }
        case RecordType::commit:
        case RecordType::catalog: return true;
    }
    return false;
}

}  // namespace

std::string_view Contents::read(Files& files, Files::File file) {
    const std::uint64_t size = files.size(file);
    if (size > capacity_) {
        octets_ = std::make_unique_for_overwrite<char[]>(size);
        capacity_ = size;
    }
    return {octets_.get(), files.read(file, 0, {octets_.get(), size})};
}

std::optional<BatchHead> Scan::head_at(std::uint64_t at) const {
    if (!looks_like_a_head(at)) return std::nullopt;
    const auto head = load<BatchHead>(octets_.data() + at);
    if (head.checksum != checksum_of(head, seed_) && fault_ != RecoveryFault::seed_unchecked)
        return std::nullopt;
    return head;
}

bool Scan::looks_like_a_head(std::uint64_t at) const {
    return at + sizeof(BatchHead) <= octets_.size() &&
           load<std::uint32_t>(octets_.data() + at) == BatchHead::expected_magic;
}

bool Scan::is_whole(std::uint64_t at, const BatchHead& head) const {
    at += sizeof head;
    if (head.size > octets_.size() - at) return false;
    std::uint32_t digest = seed_;
    const std::uint64_t end = at + head.size;
    std::uint32_t count = 0;
    for (; at != end; ++count) {
        if (!is_record(octets_.data() + at, end - at)) return false;
        const auto record = load<RecordHead>(octets_.data() + at);
        digest = crc32c(digest, &record.checksum, sizeof record.checksum);
        at += record.length;
    }
    if (fault_ == RecoveryFault::seed_unchecked || fault_ == RecoveryFault::digest_unchecked) return true;
    return digest == head.digest && count == head.count;
}

std::uint64_t Scan::next_whole(std::uint64_t at, std::uint64_t least) const {
    for (; at + sizeof(BatchHead) <= octets_.size(); at += 8)
        if (const auto head = head_at(at); head && head->sequence >= least && is_whole(at, *head)) return at;
    return octets_.size();
}

bool Scan::was_promised(std::uint64_t at, std::uint64_t sequence) const {
    for (at += 8; at + sizeof(BatchHead) <= octets_.size(); at += 8)
        if (const auto head = head_at(at); head && head->sequence - head->back >= sequence) return true;
    return false;
}

bool Scan::is_sound(std::optional<std::uint64_t> end) const {
    std::uint64_t at = batches_at;
    std::uint64_t sequence = 0;
    for (auto head = head_at(at); head && is_whole(at, *head) && head->sequence >= sequence;
         head = head_at(at)) {
        sequence = head->sequence + 1;
        at += sizeof *head + head->size;
    }
    return end ? at == *end : next_whole(at, sequence) == octets_.size();
}

}  // namespace trilby::broker::journal
