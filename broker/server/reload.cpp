// SPDX-License-Identifier: Apache-2.0
#include "broker/server/reload.hpp"

#include <array>

namespace trilby::broker {

namespace {

enum class Changes : bool { at_restart, while_running };

struct Key {
    std::string_view name;
    Changes changes;
    bool (*same)(const Configuration&, const Configuration&);
    void (*copy)(Configuration& to, const Configuration& from);
};

template <auto member>
constexpr Key key(std::string_view name, Changes changes = Changes::at_restart) {
    return {name, changes,
            [](const Configuration& a, const Configuration& b) { return a.*member == b.*member; },
            [](Configuration& to, const Configuration& from) { to.*member = from.*member; }};
}

using C = Configuration;
constexpr std::array keys{
    key<&C::backlog_memory>("backlog_memory"),
    key<&C::busy_poll>("busy_poll"),
    key<&C::channel_max>("channel_max"),
    key<&C::connections_together>("connections_together"),
    key<&C::consumer_timeout>("consumer_timeout"),
    key<&C::data_directory>("data_directory"),
    key<&C::definitions>("definitions"),
    key<&C::disk_watermark>("disk_watermark"),
    key<&C::frame_max>("frame_max"),
    key<&C::handshake_timeout>("handshake_timeout"),
    key<&C::heartbeat>("heartbeat"),
    key<&C::listeners>("listeners"),
    key<&C::log_connections>("log_connections", Changes::while_running),
    key<&C::log_format>("log_format", Changes::while_running),
    key<&C::log_level>("log_level", Changes::while_running),
    key<&C::loopback_users>("loopback_users", Changes::while_running),
    key<&C::max_message_size>("max_message_size"),
    key<&C::memory_watermark>("memory_watermark"),
    key<&C::server_version>("server_version"),
    key<&C::shutdown_timeout>("shutdown_timeout"),
    key<&C::tcp_keepalive>("tcp_keepalive"),
    key<&C::tcp_user_timeout>("tcp_user_timeout"),
    key<&C::threads>("threads"),
};

}  // namespace

ChangedKeys take_over(Configuration& running, const Configuration& fresh) {
    ChangedKeys changed;
    for (const Key& key : keys) {
        if (key.same(running, fresh)) continue;
        if (key.changes == Changes::while_running) {
            key.copy(running, fresh);
            changed.taken.push_back(key.name);
        } else {
            changed.need_restart.push_back(key.name);
        }
    }
    return changed;
}

}  // namespace trilby::broker
