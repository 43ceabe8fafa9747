// SPDX-License-Identifier: Apache-2.0
#include "broker/session/session_life.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace trilby::broker {

namespace {

using Stage = SessionLife::Stage;

constexpr std::uint32_t bit(Stage stage) {
    return std::uint32_t{1} << static_cast<unsigned>(stage);
}
constexpr std::uint32_t any_of(std::initializer_list<Stage> stages) {
    std::uint32_t bits = 0;
    for (const Stage stage : stages) bits |= bit(stage);
    return bits;
}

/// What may follow each stage, besides `dropped`, which may follow them all.
constexpr std::array<std::uint32_t, SessionLife::stages> followers{
    any_of({Stage::start_ok, Stage::ending, Stage::silent, Stage::leaving}),                 // header
    any_of({Stage::tune_ok, Stage::ending, Stage::refused, Stage::silent, Stage::leaving}),  // start_ok
    any_of({Stage::open, Stage::ending, Stage::silent, Stage::leaving}),                     // tune_ok
    any_of({Stage::running, Stage::ending, Stage::leaving}),                                 // open
    any_of({Stage::ending}),                                                                 // running
    any_of({Stage::giving_up}),                                                              // ending
    any_of({Stage::closing, Stage::silent, Stage::leaving}),                                 // giving_up
    any_of({Stage::leaving}),                                                                // refused
    any_of({Stage::leaving}),                                                                // closing
    any_of({Stage::leaving}),                                                                // silent
    0,                                                                                       // leaving
    0,                                                                                       // dropped
};

}  // namespace

bool SessionLife::may_follow(Stage stage, Stage next) {
    if (next == Stage::dropped) return stage != Stage::dropped;
    return (followers[static_cast<unsigned>(stage)] & bit(next)) != 0;
}

bool SessionLife::enter(Stage next, Time deadline) {
    if (!may_follow(stage_, next)) return false;
    stage_ = next;
    if (next > Stage::open) deadline_ = deadline;
    return true;
}

void SessionLife::hurry(Time deadline) {
    deadline_ = std::min(deadline_, deadline);
}

}  // namespace trilby::broker
