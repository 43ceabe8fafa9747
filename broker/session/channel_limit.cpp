// SPDX-License-Identifier: Apache-2.0
#include "broker/session/channel_limit.hpp"

#include <algorithm>

namespace trilby::broker {

void ChannelLimit::wants(Subscription& subscription) {
    if (subscription.wishes) return;
    subscription.wish = wanting_.insert(wanting_.end(), &subscription);
    subscription.wishes = true;
}

void ChannelLimit::wants_no_more(Subscription& subscription) {
    if (std::exchange(subscription.wishes, false)) wanting_.erase(subscription.wish);
}

void ChannelLimit::returned(Subscription& subscription, std::int64_t messages) {
    const std::int64_t counted = std::min(messages, subscription.granted);
    subscription.granted -= counted;
    out_ -= static_cast<std::uint32_t>(counted);
}

void ChannelLimit::forget(Subscription& subscription) {
    out_ -= static_cast<std::uint32_t>(std::exchange(subscription.granted, 0));
    wants_no_more(subscription);
}

void ChannelLimit::hand_out_to_first(std::size_t left) {
    const std::size_t share = std::max<std::size_t>(1, left / wanting_.size());
    Subscription& subscription = *wanting_.front();
    wants_no_more(subscription);
    subscription.granted += static_cast<std::int64_t>(share);
    out_ += static_cast<std::uint32_t>(share);
    shard_.grant(subscription.end, static_cast<std::uint32_t>(share));
}

}  // namespace trilby::broker
