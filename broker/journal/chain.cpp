// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/chain.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <optional>

#include <fmt/format.h>

namespace trilby::broker::journal {

namespace {

/// Do they differ in what is changed while a segment is written, and in nothing else? Then one of them was
/// being written when the power went.
bool differ_in_oldest_only(SegmentHead a, const SegmentHead& b) {
    a.oldest = b.oldest;
    a.checksum = b.checksum;
    a.zero = b.zero;
    return std::memcmp(&a, &b, sizeof a) == 0;
}

struct Heads {
    std::optional<SegmentHead> best;
    std::uint64_t bad_copy = 0;
    bool copy_is_bad = false;
};

Heads read_heads(std::string_view octets, std::uint64_t segment) {
    const auto at = [&](std::uint64_t place) -> std::optional<SegmentHead> {
        if (octets.size() < place + sizeof(SegmentHead)) return std::nullopt;
        return load<SegmentHead>(octets.data() + place);
    };
    const auto is_good = [&](const std::optional<SegmentHead>& head, bool first) {
        return head && head->checksum == checksum_of(*head) && head->segment == segment &&
               (head->magic == SegmentHead::expected_magic ||
                (first && head->magic == SegmentHead::first_magic));
    };
    const auto first = at(0);
    const auto second = at(second_head_at);
    const bool first_is_good = is_good(first, true);
    const bool second_is_good = is_good(second, false);
    if (first_is_good && first->magic == SegmentHead::first_magic) return {.best = first};
    if (first_is_good && second_is_good) return {.best = first->oldest >= second->oldest ? first : second};
    if (!first_is_good && !second_is_good) return {};
    Heads heads{.best = first_is_good ? first : second, .bad_copy = first_is_good ? second_head_at : 0};
    const auto& bad = first_is_good ? second : first;
    heads.copy_is_bad = !bad || !differ_in_oldest_only(*bad, *heads.best);
    return heads;
}

class Search {
  public:
    Search(Files& files, Remembered remembered) : files_(files), remembered_(remembered) {}

    Chain run() {
        list();
        choose_journal();
        sort_out();
        if (!usable_.empty()) {
            find_oldest();
            walk();
        }
        leave_the_rest();
        return std::move(chain_);
    }

  private:
    struct Candidate {
        std::uint64_t size = 0;
        Heads heads;
        std::uint64_t first_sequence = 0;  // of what has batches and no head
        bool in_chain = false;
    };

    void list() {
        std::vector<std::string> names = files_.list();
        std::sort(names.begin(), names.end());
        for (const std::string& name : names) {
            if (!name.ends_with(".seg")) continue;
            const std::uint64_t number = segment_of(name);
            const Files::File file = files_.open(name);
            Candidate candidate;
            candidate.size = files_.size(file);
            std::array<char, block_size> block;
            const std::size_t got = files_.read(file, 0, block);
            files_.close(file);
            if (number == 0) {
                lose({Damage::Kind::rot, name, 0, candidate.size, "this is not the name of a segment"});
                chain_.aside.push_back(name);
                continue;
            }
            candidate.heads = read_heads({block.data(), got}, number);
            chain_.next_segment = std::max(chain_.next_segment, number + 1);
            all_.emplace(number, candidate);
        }
    }

    void choose_journal() {
        chain_.journal = 0;
        for (const auto& [number, candidate] : all_) {
            if (!candidate.heads.best) continue;
            chain_.journal = candidate.heads.best->journal;  // of the newest
            if (chain_.journal == remembered_.journal) return;
        }
        if (chain_.journal == 0) chain_.journal = remembered_.journal;
    }

    /// Which files are segments of this journal, and which cannot be.
    void sort_out() {
        for (auto& [number, candidate] : all_) {
            if (candidate.heads.best) {
                if (candidate.heads.best->journal == chain_.journal) {
                    usable_.push_back(number);
                } else {
                    set_aside(number, candidate.size, "it belongs to another journal");
                }
            } else if (chain_.journal == 0) {
                if (looks_begun(number))
                    set_aside(number, candidate.size, "its head, and no other file tells whose it is");
            } else if (has_batches(number, candidate)) {
                usable_.push_back(number);
            }
        }
    }

    bool looks_begun(std::uint64_t number) {
        const Files::File file = files_.open(segment_name(number));
        const bool begun = Scan(0, number, contents_.read(files_, file)).looks_like_a_head(batches_at);
        files_.close(file);
        return begun;
    }

    /// Its number and the journal's are all that is needed to know its batches.
    bool has_batches(std::uint64_t number, Candidate& candidate) {
        const Files::File file = files_.open(segment_name(number));
        const Scan scan(chain_.journal, number, contents_.read(files_, file));
        files_.close(file);
        const std::uint64_t first = scan.next_whole(batches_at, 0);
        if (first == scan.end()) return false;
        candidate.first_sequence = scan.head_at(first)->sequence;
        return true;
    }

    void find_oldest() {
        for (const std::uint64_t number : usable_) {
            const auto& head = all_[number].heads.best;
            if (!head) continue;
            oldest_ = std::max(oldest_, head->oldest);
            exact_ = head->magic == SegmentHead::expected_magic;
        }
    }

    /// From the newest to the oldest, each to the one that its head names.
    void walk() {
        for (std::uint64_t number = usable_.back(); number >= oldest_ && number != 0;) {
            Candidate& candidate = all_[number];
            candidate.in_chain = true;
            chain_.links.push_back(link(number, candidate));
            const std::uint64_t previous = previous_of(number, candidate);
            if (previous == 0 || previous < oldest_ || previous >= number) break;
            number = previous;
            if (is_usable(previous)) continue;
            number = usable_before(previous);
            if (number == 0 && !exact_) break;  // the oldest go first, and this one has been given up
            chain_.links.back().gap_before = true;
            report_gap(previous, candidate);
        }
        std::reverse(chain_.links.begin(), chain_.links.end());
    }

    Link link(std::uint64_t number, const Candidate& candidate) {
        Link result{.number = number,
                    .size = candidate.size,
                    .has_head = candidate.heads.best.has_value(),
                    .head = candidate.heads.best.value_or(SegmentHead{}),
                    .bad_copy = candidate.heads.bad_copy,
                    .copy_is_bad = candidate.heads.copy_is_bad,
                    .gap_before = false};
        if (result.has_head) return result;
        result.head.journal = chain_.journal;
        result.head.segment = number;
        result.head.sequence = candidate.first_sequence;
        lose({Damage::Kind::rot, segment_name(number), 0, std::min<std::uint64_t>(candidate.size, block_size),
              "both copies of its head; the batches behind it are used"});
        chain_.damaged_through = std::max(chain_.damaged_through, number);
        return result;
    }

    std::uint64_t previous_of(std::uint64_t number, const Candidate& candidate) const {
        if (candidate.heads.best) return candidate.heads.best->previous;
        // Without a head, the one before by number; and the oldest is there as long as it is not forgotten.
        const std::uint64_t before = usable_before(number);
        return before == 0 && exact_ && oldest_ < number ? oldest_ : before;
    }

    bool is_usable(std::uint64_t number) const {
        return std::binary_search(usable_.begin(), usable_.end(), number);
    }
    /// 0: there is none that is still needed.
    std::uint64_t usable_before(std::uint64_t number) const {
        const auto after = std::lower_bound(usable_.begin(), usable_.end(), number);
        return after == usable_.begin() || *std::prev(after) < oldest_ ? 0 : *std::prev(after);
    }

    void report_gap(std::uint64_t number, const Candidate& next) {
        chain_.damaged_through = std::max(chain_.damaged_through, number);
        const auto found = all_.find(number);
        if (found == all_.end()) {
            lose({Damage::Kind::missing, segment_name(number), 0,
                  next.heads.best ? next.heads.best->previous_end : 0,
                  "the file of the segment is not there"});
        } else if (!is_aside(number)) {
            set_aside(number, found->second.size, "neither its head nor any of its batches can be read");
        }
    }

    void leave_the_rest() {
        for (const auto& [number, candidate] : all_) {
            if (candidate.in_chain || is_aside(number)) continue;
            const std::string name = segment_name(number);
            if (usable_.empty() || number > usable_.back()) {
                chain_.unbegun.push_back(name);
            } else if (number < oldest_ || (!exact_ && number < chain_.links.front().number)) {
                // What it held is elsewhere, or gone; but it may be there for somebody who looks at a damage.
                (is_sound(number, candidate) ? chain_.forgotten : chain_.aside).push_back(name);
            } else {
                set_aside(number, candidate.size, "no other segment knows of it");
            }
        }
    }

    bool is_sound(std::uint64_t number, const Candidate& candidate) {
        if (!candidate.heads.best) return false;
        const Files::File file = files_.open(segment_name(number));
        const Scan scan(chain_.journal, number, contents_.read(files_, file));
        files_.close(file);
        // Before the first batch is written a power cut may have taken one copy of the head.
        const bool head_is_sound = !candidate.heads.copy_is_bad || !scan.head_at(batches_at);
        return head_is_sound && scan.is_sound(end_of(number));
    }

    /// As the head of the next one says.
    std::optional<std::uint64_t> end_of(std::uint64_t number) const {
        for (const auto& [other, candidate] : all_)
            if (const auto& head = candidate.heads.best;
                head && head->journal == chain_.journal && head->previous == number)
                return head->previous_end;
        return std::nullopt;
    }

    bool is_aside(std::uint64_t number) const {
        return std::find(chain_.aside.begin(), chain_.aside.end(), segment_name(number)) !=
               chain_.aside.end();
    }
    void set_aside(std::uint64_t number, std::uint64_t size, std::string text) {
        const std::string name = segment_name(number);
        lose({Damage::Kind::rot, name, 0, size, std::move(text)});
        chain_.aside.push_back(name);
    }
    void lose(Damage damage) { chain_.damages.push_back(std::move(damage)); }

    Files& files_;
    const Remembered remembered_;
    Chain chain_;
    std::map<std::uint64_t, Candidate> all_;  // by number
    std::vector<std::uint64_t> usable_;       // numbers, ascending
    std::uint64_t oldest_ = 0;
    bool exact_ = false;  // the newest head knows which is the oldest segment
    Contents contents_;
};

}  // namespace

Chain find_chain(Files& files, Remembered remembered) {
    return Search(files, remembered).run();
}

}  // namespace trilby::broker::journal
