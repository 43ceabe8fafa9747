// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/checker.hpp"

#include <utility>

#include <fmt/format.h>

namespace trilby::perf {

Checker::Checker(std::size_t producers, std::size_t queues, std::size_t streams,
                 std::vector<Pattern> patterns)
    : producers_(producers), queues_(queues), above_last_(streams * producers, 0) {
    received_.reserve(patterns.size());
    for (Pattern& pattern : patterns) received_.push_back({std::move(pattern), {}});
}

void Checker::taken_before(std::uint64_t count) {
    for (Received& from : received_) from.ranks.add_all_below(from.pattern.count_below(count));
}

void Checker::note(const char* what, std::size_t queue, const Stamp& stamp) {
    if (faults_.first.empty())
        faults_.first =
            fmt::format("message {} of producer {} {} queue {}", stamp.sequence, stamp.producer, what, queue);
}

void Checker::damaged(std::size_t queue) {
    ++faults_.damaged;
    if (faults_.first.empty()) faults_.first = fmt::format("a message from queue {} is damaged", queue);
}

void Checker::wrong(std::size_t queue, const Stamp& stamp, std::uint64_t rank) {
    if (rank == Pattern::not_taken) {
        ++faults_.misrouted;
        return note("does not belong in", queue, stamp);
    }
    ++faults_.doubled;
    note("came again from", queue, stamp);
}

void Checker::disordered(std::size_t queue, const Stamp& stamp) {
    ++faults_.disordered;
    note("came after a later one from", queue, stamp);
}

std::uint64_t Checker::due(std::span<const std::uint64_t> published) const {
    std::uint64_t total = 0;
    for (std::size_t producer = 0; producer < producers_; ++producer)
        for (std::size_t queue = 0; queue < queues_; ++queue)
            total += received_[producer * queues_ + queue].pattern.count_below(published[producer]);
    return total;
}

Faults Checker::finish(std::span<const std::uint64_t> published) {
    for (std::size_t producer = 0; producer < producers_; ++producer) {
        for (std::size_t queue = 0; queue < queues_; ++queue) {
            const Received& from = received(producer, queue);
            const auto missing = from.ranks.missing_below(from.pattern.count_below(published[producer]));
            if (missing != 0 && faults_.first.empty())
                faults_.first = fmt::format("{} messages of producer {} never came from queue {}", missing,
                                            producer, queue);
            faults_.lost += missing;
        }
    }
    return faults_;
}

}  // namespace trilby::perf
