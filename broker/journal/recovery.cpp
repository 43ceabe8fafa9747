// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/recovery.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "broker/journal/records.hpp"

namespace trilby::broker::journal {

namespace {

struct Found {
    SegmentHead head;
    std::string name;
};

constexpr std::uint64_t usual_record = 128;
constexpr std::uint64_t most_reserved = std::uint64_t{4} << 20;

/// A file at a time, in memory that is used again: fresh memory costs more than the reading.
class Contents {
  public:
    std::string_view read(Files& files, Files::File file) {
        const std::uint64_t size = files.size(file);
        if (size > capacity_) {
            octets_ = std::make_unique_for_overwrite<char[]>(size);
            capacity_ = size;
        }
        return {octets_.get(), files.read(file, 0, {octets_.get(), size})};
    }

  private:
    std::unique_ptr<char[]> octets_;
    std::uint64_t capacity_ = 0;
};

std::optional<SegmentHead> read_head(Files& files, const std::string& name) {
    const Files::File file = files.open(name);
    SegmentHead head;
    const std::size_t got = files.read(file, 0, {reinterpret_cast<char*>(&head), sizeof head});
    files.close(file);
    if (got != sizeof head || head.magic != SegmentHead::expected_magic ||
        head.checksum != checksum_of(head) || head.segment != segment_of(name))
        return std::nullopt;
    return head;
}

bool is_record(const char* at, std::uint64_t left) {
    if (left < sizeof(RecordHead)) return false;
    const auto head = load<RecordHead>(at);
    if (head.length < sizeof head || head.length % 8 != 0 || head.length > left ||
        crc32c(0, at + 8, head.length - 8) != head.checksum)
        return false;
    switch (head.type) {
        case RecordType::publish: return head.count != 0 && is_publish(at);
        case RecordType::settle:
        case RecordType::mark: {
            if (sizeof head + head.count * sizeof(Run) != head.length) return false;
            for (unsigned i = 0; i < head.count; ++i)
                if (load<Run>(at + sizeof head + i * sizeof(Run)).count > UINT32_MAX) return false;
            return true;
        }
        case RecordType::commit: return true;
    }
    return false;
}

/// One segment's octets and what is known of it.
class Scan {
  public:
    Scan(const SegmentHead& head, std::string_view octets, RecoveryFault fault)
        : seed_(seed_of(head.journal, head.segment)), octets_(octets), fault_(fault) {}

    std::optional<BatchHead> head_at(std::uint64_t at) const {
        if (at + sizeof(BatchHead) > octets_.size()) return std::nullopt;
        const auto head = load<BatchHead>(octets_.data() + at);
        if (head.magic != BatchHead::expected_magic) return std::nullopt;
        if (head.checksum != checksum_of(head, seed_) && fault_ != RecoveryFault::seed_unchecked)
            return std::nullopt;
        return head;
    }
    bool is_whole(std::uint64_t at, const BatchHead& head) const {
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
    /// The next whole batch behind `at` with a sequence of at least `least`; none: the end.
    std::uint64_t next_whole(std::uint64_t at, std::uint64_t least) const {
        for (at += 8; at + sizeof(BatchHead) <= octets_.size(); at += 8)
            if (const auto head = head_at(at); head && head->sequence >= least && is_whole(at, *head))
                return at;
        return octets_.size();
    }
    /// Does some batch behind `at` say that batch `sequence` was synced?
    bool was_promised(std::uint64_t at, std::uint64_t sequence) const {
        for (at += 8; at + sizeof(BatchHead) <= octets_.size(); at += 8)
            if (const auto head = head_at(at); head && head->sequence - head->back >= sequence) return true;
        return false;
    }

  private:
    const std::uint32_t seed_;
    const std::string_view octets_;
    const RecoveryFault fault_;
};

class Reader {
  public:
    Reader(Files& files, Recovered& result, RecoveryFault fault)
        : files_(files),
          state_(result.state),
          damages_(result.damages),
          published_(result.published),
          fault_(fault) {}

    void read(const std::vector<std::string>& names) {
        for (const std::string& name : names) {
            state_.next_segment = std::max(state_.next_segment, segment_of(name) + 1);
            if (const auto head = read_head(files_, name)) heads_.emplace(head->segment, *head);
        }
        if (heads_.empty()) return;
        std::vector<const SegmentHead*> chain;
        const std::uint64_t oldest = heads_.rbegin()->second.oldest;
        for (std::uint64_t number = heads_.rbegin()->first; number != 0 && number >= oldest;) {
            auto found = heads_.find(number);
            if (found == heads_.end()) {
                // The oldest ones go first, so what is missing below all others has been given up.
                const bool named = std::find(names.begin(), names.end(), segment_name(number)) != names.end();
                found = heads_.lower_bound(number);
                const bool older = found != heads_.begin() && (--found)->first >= oldest;
                if (named || older)
                    damages_.push_back({number, 0, 0, "the segment is missing, or its head is damaged"});
                if (!older) break;
            }
            chain.push_back(&found->second);
            number = found->second.previous;
        }
        std::reverse(chain.begin(), chain.end());
        std::uint64_t octets = 0;
        for (const SegmentHead* head : chain) octets += size_of(segment_name(head->segment));
        // Growing it would cost more than what is read; what is not used takes no memory.
        published_.reserve(std::min<std::uint64_t>(octets / usual_record, most_reserved));
        state_.journal = chain.back()->journal;
        expected_ = chain.front()->sequence;
        for (std::size_t i = 0; i < chain.size(); ++i)
            segment(*chain[i], i + 1 == chain.size() ? nullptr : chain[i + 1]);
        state_.next_sequence = expected_;
        put_in_order();
        forget_others(names, chain);
    }

  private:
    std::uint64_t size_of(const std::string& name) {
        const Files::File file = files_.open(name);
        const std::uint64_t size = files_.size(file);
        files_.close(file);
        return size;
    }

    /// Leaves what lives, once. What was moved in the log stands behind what came after it, and shards do not
    /// wait for each other.
    void put_in_order() {
        std::erase_if(published_, [&](const Published& one) {
            return !state_.living.is_at(one.id, {one.segment, std::uint64_t{one.offset} * 8});
        });
        const auto before = [](const Published& a, const Published& b) {
            return std::pair(a.stamp, a.id) < std::pair(b.stamp, b.id);
        };
        if (!std::is_sorted(published_.begin(), published_.end(), before))
            std::sort(published_.begin(), published_.end(), before);
    }

    void segment(const SegmentHead& head, const SegmentHead* next) {
        const Files::File file = files_.open(segment_name(head.segment));
        const std::string_view octets = contents_.read(files_, file);
        if (fault_ != RecoveryFault::no_sync) files_.sync(file);
        files_.close(file);
        for (std::size_t i = 0; i < most_shards; ++i)
            state_.highest[i] = std::max(state_.highest[i], head.highest[i]);
        const std::uint64_t end =
            next == nullptr ? octets.size() : std::min<std::uint64_t>(next->previous_end, octets.size());
        if (next != nullptr && next->previous_end > octets.size())
            damages_.push_back(
                {head.segment, octets.size(), next->previous_end - octets.size(), "the segment is cut off"});
        const Scan scan(head, octets.substr(0, end), fault_);
        if (head.sequence > expected_)
            damages_.push_back({head.segment, 0, 0, "batches before it are missing"});
        expected_ = std::max(expected_, head.sequence);
        std::uint64_t at = batches_at;
        while (at < end) {
            const auto batch = scan.head_at(at);
            if (batch && batch->sequence == expected_ && scan.is_whole(at, *batch)) {
                apply(octets.data() + at + sizeof *batch, batch->size, head.segment, at + sizeof *batch);
                at += sizeof *batch + batch->size;
                ++expected_;
                continue;
            }
            // It was promised if a later batch says so, or if the writer had gone on to another segment.
            if (next == nullptr && fault_ == RecoveryFault::no_cut_at_a_hole) {
                at = scan.next_whole(at, expected_);
                if (const auto resumed = scan.head_at(at)) expected_ = resumed->sequence;
                continue;
            }
            if (next == nullptr && !scan.was_promised(at, expected_)) break;
            const std::uint64_t sound = scan.next_whole(at, expected_);
            damages_.push_back({head.segment, at, sound - at, "batch " + std::to_string(expected_)});
            at = sound;
            if (const auto resumed = scan.head_at(at)) expected_ = resumed->sequence;
        }
        state_.segments.push_back({head.segment, at});
        state_.previous_end = at;
        if (next != nullptr) expected_ = std::max(expected_, next->sequence);
    }

    void apply(const char* records, std::uint64_t size, std::uint64_t segment, std::uint64_t offset) {
        for (const char* at = records; at != records + size;) {
            const auto record = load<RecordHead>(at);
            const char* const fields = at + sizeof record;
            if (record.type == RecordType::publish) {
                queues_.resize(record.count);
                std::memcpy(queues_.data(), fields, record.count * sizeof(StoredQueue));
                state_.living.publish(record.id, {segment, offset + static_cast<std::uint64_t>(at - records)},
                                      record.length, queues_);
                const auto publish = load<PublishFields>(fields + record.count * sizeof(StoredQueue));
                published_.push_back(
                    {record.id, publish.stamp, static_cast<std::uint32_t>(segment),
                     static_cast<std::uint32_t>((offset + static_cast<std::uint64_t>(at - records)) / 8)});
                state_.last_stamp = std::max(state_.last_stamp, publish.stamp);
                const std::uint64_t shard = record.id >> 56;
                if (shard < most_shards)
                    state_.highest[shard] =
                        std::max(state_.highest[shard], record.id & ((std::uint64_t{1} << 56) - 1));
            } else {
                for (unsigned i = 0; record.type != RecordType::commit && i < record.count; ++i) {
                    const auto run = load<Run>(fields + i * sizeof(Run));
                    if (record.type == RecordType::settle) {
                        state_.living.settle(record.id, run.first, run.count);
                    } else {
                        state_.living.mark(record.id, run.first, run.count, record.times);
                    }
                }
            }
            at += record.length;
        }
    }

    /// Segments that were forgotten, or made and never begun.
    void forget_others(const std::vector<std::string>& names, const std::vector<const SegmentHead*>& chain) {
        for (const std::string& name : names) {
            const std::uint64_t number = segment_of(name);
            if (std::none_of(chain.begin(), chain.end(),
                             [&](const auto* head) { return head->segment == number; }) &&
                (number < chain.front()->segment || number > chain.back()->segment))
                files_.remove(name);
        }
        files_.sync_directory();
    }

    Files& files_;
    State& state_;
    std::vector<Damage>& damages_;
    std::vector<Published>& published_;
    const RecoveryFault fault_;
    std::map<std::uint64_t, SegmentHead> heads_;
    std::uint64_t expected_ = 0;
    Contents contents_;
    std::vector<StoredQueue> queues_;  // of the record at hand
};

}  // namespace

Recovered recover(Files& files, RecoveryFault fault) {
    Recovered result;
    std::vector<std::string> names;
    for (std::string& name : files.list())
        if (segment_of(name) != 0) names.push_back(std::move(name));
    std::sort(names.begin(), names.end());
    Reader(files, result, fault).read(names);
    return result;
}

void read_living(Files& files, const State& state, const std::function<void(const LivingMessage&)>& visit) {
    std::map<std::uint64_t, std::vector<std::pair<std::uint64_t, MessageId>>> places;
    state.living.each(
        [&](MessageId id, Place place) { places[place.segment].emplace_back(place.offset, id); });
    std::vector<Living::Holder> holders;
    Contents contents;
    for (auto& [segment, list] : places) {
        std::sort(list.begin(), list.end());
        const Files::File file = files.open(segment_name(segment));
        const std::string_view octets = contents.read(files, file);
        files.close(file);
        for (const auto& [offset, id] : list) {
            const char* const at = octets.data() + offset;
            const auto record = load<RecordHead>(at);
            holders.clear();
            state.living.each_holder(id, [&](Living::Holder holder) { holders.push_back(holder); });
            visit({id, load<PublishFields>(at + sizeof record + record.count * sizeof(StoredQueue)).stamp,
                   holders, publication_of(at)});
        }
    }
}

}  // namespace trilby::broker::journal
