// SPDX-License-Identifier: Apache-2.0
#include "broker/shard/timers.hpp"

#include <algorithm>

namespace trilby::broker {

void TimerWheel::link(Head& head, Timer& timer) {
    timer.previous_ = head.previous_;
    timer.next_ = &head;
    head.previous_->next_ = &timer;
    head.previous_ = &timer;
}

void TimerWheel::set(Timer& timer, Time at) {
    timer.unlink();
    if (at == Timer::never) return;
    // The tick behind it, so that it is not early.
    const std::int64_t wanted = tick_of(at) + 1;
    const std::int64_t last = next_ + static_cast<std::int64_t>(slots) - 1;
    link(wheel_[static_cast<std::size_t>(std::clamp(wanted, next_, last)) % slots], timer);
    timer.at_ = at;
}

void TimerWheel::advance(Time now) {
    const std::int64_t current = tick_of(now);
    // After a long sleep each slot is looked at once.
    next_ = std::max(next_, current - static_cast<std::int64_t>(slots) + 1);
    for (; next_ <= current; ++next_) {
        Head& slot = wheel_[static_cast<std::size_t>(next_) % slots];
        while (slot.next_ != &slot) {
            Timer& timer = *slot.next_;
            const Time at = timer.at_;
            timer.unlink();
            link(late_, timer);
            timer.at_ = at;
        }
    }
    while (late_.next_ != &late_) {
        Timer& timer = *late_.next_;
        const Time at = timer.at_;
        timer.unlink();
        at <= now ? timer.due() : set(timer, at);
    }
}

}  // namespace trilby::broker
