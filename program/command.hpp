// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "client/channel.hpp"
#include "client/connection.hpp"
#include "program/command_line.hpp"

namespace trilby::client {

inline constexpr std::string_view default_exchange = "amq.topic";

/// What every client command needs to know of the broker.
struct BrokerOptions {
    std::string url = std::string(Url::default_text);

    void add_to(CLI::App& command);
    /// `error` as a sentence for the person at the terminal.
    std::unexpected<Failed> explain(const Error& error) const;
};

/// A connection with one open channel.
struct Session {
    std::unique_ptr<Connection> connection;
    Channel* channel;

    /// For `trilby COMMAND`, which says so when the broker is blocked.
    static std::expected<Session, Failed> open(const BrokerOptions& options, const std::string& command);
};

void add_exchange_option(CLI::App& command, std::string& exchange);

/// What a command says when the broker stops to take messages, or takes them again.
void say_blocked(std::string_view command, const std::optional<std::string>& reason);

void add_publish_command(CommandLine& commands);
void add_subscribe_command(CommandLine& commands);
void add_replay_command(CommandLine& commands);

}  // namespace trilby::client
