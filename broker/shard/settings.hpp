// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace trilby::broker {

/// What can change while the broker runs; each shard is told.
struct LiveSettings {
    std::vector<std::string> loopback_users{"guest"};
    bool log_connections = true;  // each that is opened or closed, at the level info; otherwise debug

    bool operator==(const LiveSettings&) const = default;
};

/// What every shard reads and nobody changes once the threads run; what can change as it is at the start. The
/// operator's words for these are the keys of docs/configuration.md.
struct Settings : LiveSettings {
    // Offered to clients.
    std::chrono::seconds heartbeat{60};  // 0: none
    std::uint32_t frame_max = 131'072;
    std::uint16_t channel_max = 2047;
    std::string server_version = "3.13.7";  // what clients parse

    std::uint64_t max_message_size = 134'217'728;
    std::chrono::milliseconds handshake_timeout{10'000};
    std::chrono::milliseconds consumer_timeout{1'800'000};  // 0: none
    std::chrono::seconds shutdown_timeout{10};              // from the signal to the end of the process
    std::chrono::seconds tcp_keepalive{60};  // silence before the system asks the peer; 0: it does not
    std::chrono::seconds tcp_user_timeout{
        180};                                // what was sent stays untaken so long; 0: as the system likes
    std::chrono::microseconds busy_poll{0};  // how long a shard looks for more before it sleeps
    std::uint64_t backlog_memory = std::uint64_t{12} << 20;  // octets of messages that wait in memory

    // No key says these.
    std::string cluster_name = "trilby@localhost";
    std::chrono::milliseconds failed_login_delay{3000};

    // How much one connection or road may hold before its source is stopped.
    std::size_t output_limit = std::size_t{1}
                               << 20;                // octets; consumers of a connection above it get nothing
    std::size_t reply_limit = std::size_t{4} << 20;  // octets; a connection above it is not read
    std::size_t direct_reply_limit = std::size_t{32} << 20;  // octets; beyond, direct replies are dropped
    std::int64_t consumer_window = std::int64_t{512} << 10;  // octets under way to a far consumer
    // What clients may make the broker hold besides messages, in octets: over all shards what is declared and
    // bound, and as much again of channels and consumers. 0: as much as they like.
    std::uint64_t held_memory = 0;
    // Over all queues: octets of what is read back of messages that wait and are not in memory.
    std::uint64_t backlog_cache = std::uint64_t{8} << 20;
    std::uint64_t turn_steps = 32768;  // what a turn of a shard may cost, see Turn
    std::size_t mailbox_items = 8192;  // enough for small messages to fill the octets; 48 octets each
    std::uint64_t mailbox_octets = std::uint64_t{640} << 10;

    bool operator==(const Settings&) const = default;
};

}  // namespace trilby::broker
