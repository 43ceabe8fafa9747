// SPDX-License-Identifier: Apache-2.0
#include "broker/log/gatherer.hpp"

#include <algorithm>

namespace trilby::broker::log {

namespace {

/// So many in a window are written whole. A program with many connections may open or lose all of them at
/// once, and each is worth its line.
std::size_t written_whole(Event event) {
    return event == Event::connection_opened || event == Event::connection_closed ? 100 : 10;
}

}  // namespace

Gatherer::Watched& Gatherer::watched(const Fields& fields, Clock::time_point now) {
    Kind kind{fields.event, fields.gathered_by};
    auto found = kinds_.find(kind);
    if (found == kinds_.end() && kinds_.size() >= most_kinds) {
        kind.second.clear();
        found = kinds_.find(kind);
    }
    if (found == kinds_.end()) found = kinds_.emplace(std::move(kind), Watched{.since = now}).first;
    return found->second;
}

bool Gatherer::passes(const Line& line, Clock::time_point now) {
    if (line.fields == nullptr || line.fields->event == Event::other ||
        line.fields->event == Event::broker_stopping)
        return true;
    Watched& one = watched(*line.fields, now);
    if (one.written < written_whole(line.fields->event)) {
        ++one.written;
        return true;
    }
    ++one.counted;
    one.time = line.time;
    one.level = line.level;
    one.message = line.message;
    one.fields = *line.fields;
    return false;
}

std::optional<Gatherer::Clock::time_point> Gatherer::next() const {
    if (kinds_.empty()) return std::nullopt;
    const auto oldest =
        std::ranges::min_element(kinds_, {}, [](const auto& kind) { return kind.second.since; });
    return oldest->second.since + window;
}

void Gatherer::write_last(const Watched& one, std::chrono::seconds within,
                          const std::function<void(const Line&)>& write) {
    if (one.counted == 0) return;
    write({.time = one.time,
           .level = one.level,
           .message = one.message,
           .fields = &one.fields,
           .more = one.counted - 1,
           .within = within});
}

void Gatherer::take_due(Clock::time_point now, const std::function<void(const Line&)>& write) {
    for (auto kind = kinds_.begin(); kind != kinds_.end();) {
        Watched& one = kind->second;
        if (now < one.since + window) {
            ++kind;
        } else if (one.counted == 0) {
            kind = kinds_.erase(kind);
        } else {  // it goes on: in the next window none is written whole
            write_last(one, window, write);
            one.since = now;
            one.counted = 0;
            ++kind;
        }
    }
}

void Gatherer::take_all(Clock::time_point now, const std::function<void(const Line&)>& write) {
    for (const auto& [kind, one] : kinds_)
        write_last(one, std::chrono::ceil<std::chrono::seconds>(now - one.since), write);
    kinds_.clear();
}

}  // namespace trilby::broker::log
