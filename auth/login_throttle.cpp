// SPDX-License-Identifier: Apache-2.0
#include "auth/login_throttle.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <arpa/inet.h>

namespace trilby::auth {
namespace {

/// An IPv6 address stands for its network of 64 bits, all of which is at one person's disposal.
std::string network_of(const std::string& address) {
    in6_addr parsed;
    if (::inet_pton(AF_INET6, address.c_str(), &parsed) != 1 || IN6_IS_ADDR_V4MAPPED(&parsed)) return address;
    std::fill(parsed.s6_addr + 8, parsed.s6_addr + 16, std::uint8_t{0});
    std::array<char, INET6_ADDRSTRLEN> text;
    return std::string(::inet_ntop(AF_INET6, &parsed, text.data(), socklen_t{INET6_ADDRSTRLEN})) + "/64";
}

std::string key_of(std::string_view network, std::string_view user) {
    return std::string(network).append(1, '\0').append(user);
}

}  // namespace

std::chrono::milliseconds LoginThrottle::pause_after(unsigned failures) {
    if (failures < free_failures) return std::chrono::milliseconds{0};
    const unsigned doublings = std::min(failures - free_failures, 16u);
    return std::min(longest_pause, first_pause * (1u << doublings));
}

std::optional<LoginThrottle::Time> LoginThrottle::admit(const std::string& address, std::string_view user,
                                                        Time now) {
    const auto found = entries_.find(key_of(network_of(address), user));
    if (found == entries_.end()) return now;
    Entry& known = found->second;
    if (now - known.last_failure >= forgotten_after) return now;
    const Time at = std::max(now, known.free);
    if (at - now > longest_wait) return std::nullopt;
    known.free = at + pause_after(known.failures);
    return at;
}

unsigned LoginThrottle::failed(const std::string& address, std::string_view user, Time now) {
    Entry& known = entry(address, user, now);
    if (now - known.last_failure >= forgotten_after) known.failures = 0;
    ++known.failures;
    known.last_failure = now;
    if (known.failures == free_failures) known.free = now + pause_after(known.failures);
    if (known.untold++ == 0) ++untold_entries_;
    if (known.failures > free_failures && now - known.told < sum_interval) return 0;
    known.told = now;
    --untold_entries_;
    return std::exchange(known.untold, 0);
}

std::vector<LoginThrottle::Sum> LoginThrottle::sums(Time now) {
    std::vector<Sum> due;
    if (untold_entries_ == 0) return due;
    for (auto& [key, known] : entries_) {
        if (known.untold == 0 || now - known.told < sum_interval) continue;
        known.told = now;
        --untold_entries_;
        due.push_back({known.network, known.user, std::exchange(known.untold, 0)});
    }
    return due;
}

LoginThrottle::Entry& LoginThrottle::entry(const std::string& address, std::string_view user, Time now) {
    std::string network = network_of(address);
    std::string key = key_of(network, user);
    const auto found = entries_.find(key);
    if (found != entries_.end()) return found->second;
    if (entries_.size() >= most_entries) make_room(now);
    return entries_
        .emplace(std::move(key),
                 Entry{.network = std::move(network), .user = std::string(user), .last_failure = now})
        .first->second;
}

void LoginThrottle::make_room(Time now) {
    std::erase_if(entries_, [&](const auto& one) {
        const Entry& known = one.second;
        return known.untold == 0 && now - known.last_failure >= forgotten_after;
    });
    if (entries_.size() < most_entries) return;
    const auto quietest =
        std::ranges::min_element(entries_, {}, [](const auto& one) { return one.second.last_failure; });
    if (quietest->second.untold != 0) --untold_entries_;
    entries_.erase(quietest);
}

}  // namespace trilby::auth
