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
    bool log_connections = true;  // those that are opened and closed, at the level info
};

/// What every shard reads and nobody changes once the threads run.
struct Settings {
    std::uint16_t channel_max = 2047;
    std::uint32_t frame_max = 131072;
    std::uint16_t heartbeat = 60;  // seconds, offered to clients
    std::uint64_t max_message_size = 134217728;
    std::chrono::milliseconds handshake_timeout{10000};
    std::chrono::milliseconds failed_login_delay{3000};
    std::chrono::milliseconds consumer_timeout{1800000};  // 0: none
    std::chrono::milliseconds shutdown_timeout{10000};
    std::chrono::seconds tcp_keepalive{60};              // 0: none
    std::chrono::milliseconds tcp_user_timeout{180000};  // 0: the system's
    std::chrono::microseconds busy_poll{0};              // 0: sleep at once
    LiveSettings live;                                   // as the broker starts
    std::string server_version = "3.13.7";               // what clients parse
    std::string cluster_name = "trilby@localhost";

    // How much one connection or road may hold before its source is stopped.
    std::size_t output_limit = std::size_t{1}
                               << 20;                // octets; consumers of a connection above it get nothing
    std::size_t reply_limit = std::size_t{4} << 20;  // octets; a connection above it is not read
    std::size_t direct_reply_limit = std::size_t{32} << 20;  // octets; beyond, direct replies are dropped
    std::int64_t consumer_window = std::int64_t{512} << 10;  // octets under way to a far consumer
    // What clients may make the broker hold besides messages, in octets: over all shards what is declared and
    // bound, and as much again of channels and consumers. 0: as much as they like.
    std::uint64_t held_memory = 0;
    // Over all queues: messages that wait in memory, and what is read back of those that do not, in octets.
    std::uint64_t backlog_memory = std::uint64_t{12} << 20;
    std::uint64_t backlog_cache = std::uint64_t{8} << 20;
    std::uint64_t turn_steps = 32768;  // what a turn of a shard may cost, see Turn
    std::size_t mailbox_items = 8192;  // enough for small messages to fill the octets; 48 octets each
    std::uint64_t mailbox_octets = std::uint64_t{640} << 10;
};

}  // namespace trilby::broker
