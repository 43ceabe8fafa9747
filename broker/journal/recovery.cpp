// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/recovery.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "broker/journal/aside.hpp"
#include "broker/journal/chain.hpp"
#include "broker/journal/records.hpp"

namespace trilby::broker::journal {

namespace {

constexpr std::uint64_t usual_record = 128;
constexpr std::uint64_t most_reserved = std::uint64_t{4} << 20;
constexpr std::uint64_t counter_bits = (std::uint64_t{1} << 56) - 1;

class Reader {
  public:
    Reader(Files& files, Recovered& result, Remembered remembered, RecoveryFault fault)
        : files_(files),
          result_(result),
          state_(result.state),
          remembered_(remembered),
          fault_(fault),
          chain_(find_chain(files, remembered)) {}

    void read() {
        result_.damages = std::move(chain_.damages);
        result_.aside = std::move(chain_.aside);
        result_.forgotten = std::move(chain_.forgotten);
        state_.journal = chain_.links.empty() ? 0 : chain_.journal;
        state_.next_segment = chain_.next_segment;
        state_.damaged_through = chain_.damaged_through;
        if (!chain_.links.empty()) {
            read_segments();
        } else if (remembered_.sequence != 0) {
            lose_the_end(0, 0);
        }
        // Beyond the newest: a file that a power cut left before anything was promised in it, unless somebody
        // remembers more than there is.
        auto& to = end_is_missing_ ? result_.aside : result_.forgotten;
        to.insert(to.end(), chain_.unbegun.begin(), chain_.unbegun.end());
    }

  private:
    void read_segments() {
        const auto& links = chain_.links;
        std::uint64_t octets = 0;
        for (const Link& link : links) octets += link.size;
        // Growing it would cost more than what is read; what is not used takes no memory.
        result_.published.reserve(std::min<std::uint64_t>(octets / usual_record, most_reserved));
        expected_ = links.front().head.sequence;
        for (std::size_t i = 0; i < links.size(); ++i)
            segment(links[i], i + 1 == links.size() ? nullptr : &links[i + 1]);
        state_.read_through = std::max(state_.read_through, links.back().head.sequence - 1);
        if (links.back().has_head) state_.newest_head = links.back().head;
        state_.next_sequence = expected_;
        put_in_order();
    }

    /// Leaves what lives, once. What was moved in the log stands behind what came after it, and shards do not
    /// wait for each other.
    void put_in_order() {
        std::erase_if(result_.published, [&](const Published& one) {
            return !state_.living.is_at(one.id, {one.segment, std::uint64_t{one.offset} * 8});
        });
        const auto before = [](const Published& a, const Published& b) {
            return std::pair(a.stamp, a.id) < std::pair(b.stamp, b.id);
        };
        if (!std::is_sorted(result_.published.begin(), result_.published.end(), before))
            std::sort(result_.published.begin(), result_.published.end(), before);
    }

    void segment(const Link& link, const Link* next) {
        const Files::File file = files_.open(segment_name(link.number));
        const std::string_view octets = contents_.read(files_, file);
        if (fault_ != RecoveryFault::no_sync) files_.sync(file);
        files_.close(file);
        if (link.has_head)
            for (std::size_t i = 0; i < most_shards; ++i)
                state_.highest[i] = std::max(state_.highest[i], link.head.highest[i]);
        if (link.head.sequence > expected_ && !link.gap_before)
            damaged(
                link, 0, 0,
                fmt::format("batches {} to {}, which stood before it", expected_, link.head.sequence - 1));
        expected_ = std::max(expected_, link.head.sequence);
        const std::size_t damages_before = result_.damages.size();
        const std::uint64_t end =
            next == nullptr ? read_newest(link, octets) : read_closed(link, *next, octets);
        if (link.copy_is_bad && state_.read_through >= link.head.sequence)
            damaged(link, link.bad_copy, sizeof(SegmentHead), "one copy of its head; the other one is used");
        const bool damaged_here = !link.has_head || result_.damages.size() != damages_before;
        state_.segments.push_back({link.number, end, damaged_here});
        state_.previous_end = end;
    }

    /// Everything in it was promised, for its writer went on to another one. Returns where it ends.
    std::uint64_t read_closed(const Link& link, const Link& next, std::string_view octets) {
        const bool end_is_known = next.has_head && next.head.previous == link.number;
        const std::uint64_t end =
            end_is_known ? std::min<std::uint64_t>(next.head.previous_end, octets.size()) : octets.size();
        if (end_is_known && next.head.previous_end > octets.size())
            damaged(link, octets.size(), next.head.previous_end - octets.size(), "the file is too short");
        const Scan scan(link.head.journal, link.number, octets.substr(0, end), fault_);
        std::uint64_t at = std::min(batches_at, end);
        while (at < end) {
            if (take(scan, link, octets, at)) continue;
            const std::uint64_t sound = scan.next_whole(at, expected_);
            if (!end_is_known && sound == scan.end() && (next.gap_before || next.head.sequence <= expected_))
                break;
            pass_over(scan, link, at, sound);
        }
        if (!next.gap_before) expected_ = std::max(expected_, next.head.sequence);
        return at;
    }

    /// Its last batches may never have been promised; then they were not there for anybody. Returns where it
    /// ends.
    std::uint64_t read_newest(const Link& link, std::string_view octets) {
        if (octets.size() < batches_at)
            damaged(link, octets.size(), batches_at - octets.size(), "the file is too short");
        const Scan scan(link.head.journal, link.number, octets, fault_);
        std::uint64_t at = std::min<std::uint64_t>(batches_at, octets.size());
        while (at < scan.end()) {
            if (take(scan, link, octets, at)) continue;
            std::uint64_t sound = scan.next_whole(at, expected_);
            if (fault_ == RecoveryFault::no_cut_at_a_hole) {
                go_on(scan, at, sound);
                continue;
            }
            // It was promised if a later batch says so, or somebody who remembers; and so was the first one
            // behind a head that cannot be read.
            if (expected_ > remembered_.sequence && (link.has_head || at != batches_at) &&
                !scan.was_promised(at, expected_))
                break;
            if (sound == scan.end()) {
                // There is no more to go on with, but what was there was a batch.
                if (!scan.looks_like_a_head(at)) break;
                const auto head = scan.head_at(at);
                sound = at + std::min(sizeof(BatchHead) + (head ? head->size : 0), scan.end() - at);
                damaged(link, at, sound - at, fmt::format("batch {}", expected_++));
                at = sound;
                continue;
            }
            pass_over(scan, link, at, sound);
        }
        if (expected_ <= remembered_.sequence) lose_the_end(link.number, at);
        return at;
    }

    /// `segment`: the newest one; 0: there is none.
    void lose_the_end(std::uint64_t segment, std::uint64_t at) {
        end_is_missing_ = true;
        state_.damaged_through = std::max(state_.damaged_through, segment);
        result_.damages.push_back(
            {Damage::Kind::missing, segment == 0 ? "no segment is there" : segment_name(segment), at, 0,
             fmt::format("the end of the journal, batches {} to {}", expected_, remembered_.sequence)});
        expected_ = state_.next_sequence = remembered_.sequence + 1;
    }

    /// The expected batch, if it is there as a whole.
    bool take(const Scan& scan, const Link& link, std::string_view octets, std::uint64_t& at) {
        const auto batch = scan.head_at(at);
        if (!batch || batch->sequence != expected_ || !scan.is_whole(at, *batch)) return false;
        apply(octets.data() + at + sizeof *batch, batch->size, link.number, at + sizeof *batch);
        at += sizeof *batch + batch->size;
        state_.read_through = expected_++;
        return true;
    }

    void pass_over(const Scan& scan, const Link& link, std::uint64_t& at, std::uint64_t sound) {
        damaged(link, at, sound - at, fmt::format("batch {}", expected_));
        go_on(scan, at, sound);
    }
    void go_on(const Scan& scan, std::uint64_t& at, std::uint64_t sound) {
        at = sound;
        if (const auto resumed = scan.head_at(at)) expected_ = resumed->sequence;
    }

    void damaged(const Link& link, std::uint64_t offset, std::uint64_t size, std::string text) {
        result_.damages.push_back(
            {Damage::Kind::rot, segment_name(link.number), offset, size, std::move(text)});
        state_.damaged_through = std::max(state_.damaged_through, link.number);
    }

    void apply(const char* records, std::uint64_t size, std::uint64_t segment, std::uint64_t offset) {
        for (const char* at = records; at != records + size;) {
            const auto record = load<RecordHead>(at);
            const char* const fields = at + sizeof record;
            switch (record.type) {
                case RecordType::publish: {
                    const std::uint64_t place = offset + static_cast<std::uint64_t>(at - records);
                    queues_.resize(queue_count(record));
                    std::memcpy(queues_.data(), fields, queues_.size() * sizeof(StoredQueue));
                    state_.living.publish(record.id, {segment, place}, record.length, queues_);
                    for (const StoredQueue queue : queues_)
                        state_.newest_queue = std::max(state_.newest_queue, queue);
                    const auto publish = load<PublishFields>(fields + queues_.size() * sizeof(StoredQueue));
                    result_.published.push_back({record.id, publish.stamp,
                                                 static_cast<std::uint32_t>(segment),
                                                 static_cast<std::uint32_t>(place / 8)});
                    state_.last_stamp = std::max(state_.last_stamp, publish.stamp);
                    seen(record.id);
                    break;
                }
                case RecordType::settle:
                    for (unsigned i = 0; i < record.count; ++i) {
                        const auto run = load<Run>(fields + i * sizeof(Run));
                        state_.living.settle(record.id, run.first, run.count);
                        if (run.count != 0) seen(run.first + run.count - 1);
                    }
                    break;
                case RecordType::mark:
                    for (unsigned i = 0; i < record.count; ++i) {
                        const auto run = load<Run>(fields + i * sizeof(Run));
                        state_.living.mark(record.id, run.first, run.count, record.times);
                    }
                    break;
                case RecordType::commit: break;
                case RecordType::catalog: state_.catalog = std::max(state_.catalog, record.id); break;
            }
            at += record.length;
        }
    }

    /// Ids are never given twice; of a head that cannot be read, the records know it too.
    void seen(MessageId id) {
        if (const std::uint64_t shard = id >> 56; shard < most_shards)
            state_.highest[shard] = std::max(state_.highest[shard], id & counter_bits);
    }

    Files& files_;
    Recovered& result_;
    State& state_;
    const Remembered remembered_;
    const RecoveryFault fault_;
    Chain chain_;
    std::uint64_t expected_ = 1;  // sequence of the next batch
    bool end_is_missing_ = false;
    Contents contents_;
    std::vector<StoredQueue> queues_;  // of the record at hand
};

}  // namespace

Recovered recover(Files& files, Remembered remembered, RecoveryFault fault) {
    Recovered result;
    Reader(files, result, remembered, fault).read();
    return result;
}

void clear_away(Files& files, const Recovered& recovered) {
    for (const std::string& name : recovered.aside) move_aside(files, name);
    for (const std::string& name : recovered.forgotten) files.remove(name);
    files.sync_directory();
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
            visit({id,
                   load<PublishFields>(at + sizeof record + queue_count(record) * sizeof(StoredQueue)).stamp,
                   holders, publication_of(at)});
        }
    }
}

namespace {

/// The segment of the last look stays open: neighbours in a queue are mostly neighbours on the disk.
class OpenSegment {
  public:
    explicit OpenSegment(Files& files) : files_(files) {}
    OpenSegment(const OpenSegment&) = delete;
    OpenSegment& operator=(const OpenSegment&) = delete;
    ~OpenSegment() { close(); }

    Files::File file(std::uint64_t segment) {
        if (segment != segment_) {
            close();
            file_ = files_.open(segment_name(segment));
            segment_ = segment;
        }
        return file_;
    }

  private:
    void close() {
        if (segment_ != 0) files_.close(file_);
        segment_ = 0;
    }

    Files& files_;
    std::uint64_t segment_ = 0;  // 0: none
    Files::File file_ = -1;
};

}  // namespace

void read_in_order(Files& files, const Recovered& recovered,
                   const std::function<void(const LivingMessage&)>& visit) {
    OpenSegment open(files);
    std::vector<Living::Holder> holders;
    std::vector<char> record;
    for (const Published& message : recovered.published) {
        const std::uint64_t offset = std::uint64_t{message.offset} * 8;
        const Files::File file = open.file(message.segment);
        record.resize(sizeof(RecordHead));
        files.read(file, offset, record);
        record.resize(load<RecordHead>(record.data()).length);
        files.read(file, offset, record);
        holders.clear();
        recovered.state.living.each_holder(message.id,
                                           [&](Living::Holder holder) { holders.push_back(holder); });
        visit({message.id, message.stamp, holders, publication_of(record.data())});
    }
}

}  // namespace trilby::broker::journal
