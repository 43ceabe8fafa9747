// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace trilby::auth {

/// Slows down who guesses passwords. After a few failures the attempts from one network for one user are
/// looked at one after the other, with a pause between them that grows; so many may wait, and the others are
/// refused unseen. Other users of that network, and that user from anywhere else, wait for nobody.
///
/// It says as well when failures are worth a line in a log: each of the first few, then a sum from time to
/// time.
///
/// Bounded: of networks and users beyond the limit, those go that have been quiet longest. One thread.
class LoginThrottle {
  public:
    using Time = std::chrono::steady_clock::time_point;

    static constexpr unsigned free_failures = 5;
    static constexpr std::chrono::milliseconds first_pause{100};
    static constexpr std::chrono::milliseconds longest_pause{1000};
    static constexpr std::chrono::seconds longest_wait{5};
    static constexpr std::chrono::seconds forgotten_after{60};
    static constexpr std::chrono::seconds sum_interval{10};
    static constexpr std::size_t most_entries = 1024;

    /// When the password may be looked at, `now` or later; none: refused unseen, and that counts as a
    /// failure. All users that do not exist are one: `user` is empty for them.
    std::optional<Time> admit(const std::string& address, std::string_view user, Time now);

    /// The attempt has failed, or was refused unseen. How many failures a line should speak of: 1, this one;
    /// more, those since the last line; 0, no line now.
    unsigned failed(const std::string& address, std::string_view user, Time now);

    struct Sum {
        std::string network;  // an address, or the first 64 bits of an IPv6 address
        std::string user;     // empty: of users that do not exist
        unsigned failures;
    };
    /// What was not told yet and is due. To be asked now and then; costs nothing while there is nothing.
    std::vector<Sum> sums(Time now);

    std::size_t entries() const { return entries_.size(); }

  private:
    struct Entry {
        std::string network;
        std::string user;
        unsigned failures = 0;
        unsigned untold = 0;
        Time last_failure{};
        Time told{};
        Time free{};  // when the next attempt may be looked at
    };
    static std::chrono::milliseconds pause_after(unsigned failures);
    Entry& entry(const std::string& address, std::string_view user, Time now);
    void make_room(Time now);

    std::unordered_map<std::string, Entry> entries_;  // by network and user
    std::size_t untold_entries_ = 0;
};

}  // namespace trilby::auth
