// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "client/channel.hpp"
#include "client/connection.hpp"

namespace trilby::client {

/// Why a command ends: a sentence that says what to do, and the exit code that goes with it.
struct Failed {
    enum class Kind { trouble = 1, usage = 2 } kind;
    std::string sentence;
};

using Done = std::expected<void, Failed>;

inline std::unexpected<Failed> trouble(std::string sentence) {
    return std::unexpected(Failed{Failed::Kind::trouble, std::move(sentence)});
}
inline std::unexpected<Failed> usage(std::string sentence) {
    return std::unexpected(Failed{Failed::Kind::usage, std::move(sentence)});
}

/// What every client command needs to know of the broker.
struct BrokerOptions {
    std::string url = std::string(Url::default_text);
    std::string exchange = "amq.topic";

    void add_to(CLI::App& command);
    /// `error` as a sentence for the person at the terminal.
    std::unexpected<Failed> explain(const Error& error) const;
};

/// A connection with one open channel.
struct Session {
    std::unique_ptr<Connection> connection;
    Channel* channel;

    static std::expected<Session, Failed> open(const BrokerOptions& options, std::string name);
};

/// Prints the sentence, if there is one; the exit code.
int report(const Done& done);

void add_publish_command(CLI::App& app, int& exit_code);
void add_subscribe_command(CLI::App& app, int& exit_code);
void add_replay_command(CLI::App& app, int& exit_code);

}  // namespace trilby::client
