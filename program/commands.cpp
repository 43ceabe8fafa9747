// SPDX-License-Identifier: Apache-2.0
#include "program/commands.hpp"

#include <fmt/format.h>

#include "client/printable.hpp"
#include "program/command.hpp"

namespace trilby::client {

void add_client_commands(CommandLine& commands) {
    add_publish_command(commands);
    add_subscribe_command(commands);
    add_replay_command(commands);
}

void BrokerOptions::add_to(CLI::App& command) {
    command
        .add_option("--url", url,
                    "The broker, by default amqp://guest:guest@127.0.0.1:5672/%2F (also in TRILBY_URL)")
        ->option_text("URL")
        ->envname("TRILBY_URL");
}

void add_exchange_option(CLI::App& command, std::string& exchange) {
    command
        .add_option("--exchange", exchange,
                    fmt::format("The exchange to use, by default {}", default_exchange))
        ->option_text("NAME");
}

std::unexpected<Failed> BrokerOptions::explain(const Error& error) const {
    const auto parsed = Url::parse(url);
    const std::string broker = parsed ? parsed->address() : url;
    // What the broker said may hold what somebody else named; it goes to a terminal.
    const std::string said = printable(error.text);
    if (error.interrupted) return interrupted("Interrupted.");
    if (error.code == 0 && error.text.starts_with("No broker answers"))
        return trouble(said + ". Start one with `trilby serve`, or say with --url where it is.");
    if (error.code == 0) return trouble(fmt::format("Lost the broker at {}: {}.", broker, said));
    if (error.code == 403 && error.text.find("ogin") != std::string::npos)
        return trouble(
            fmt::format("The broker at {} refused the login of '{}': check user and password in --url.",
                        broker, parsed ? parsed->user : std::string()));
    if (error.code == 403)
        return trouble(fmt::format(
            "Not allowed: {}. Ask for the permission, or log in as another user with --url.", said));
    if (error.code == 404 && error.text.find("exchange") != std::string::npos)
        return trouble(fmt::format("The broker at {} says: {}: name another exchange.", broker, said));
    if (error.code == 530)
        return trouble(fmt::format(
            "The broker at {} did not let us in ({}): check the virtual host in --url.", broker, said));
    return trouble(fmt::format("The broker at {} says: {}.", broker, said));
}

void say_blocked(std::string_view command, const std::optional<std::string>& reason) {
    say(command,
        reason ? fmt::format("The broker takes no messages at present, it says: {}. Waiting until it does; "
                             "Ctrl-C gives up.",
                             printable(*reason))
               : std::string("The broker takes messages again."));
}

std::expected<Session, Failed> Session::open(const BrokerOptions& options, const std::string& command) {
    const auto url = Url::parse(options.url);
    if (!url) return usage(url.error());
    auto connection = Connection::open(*url, {.name = "trilby " + command});
    if (!connection) return options.explain(connection.error());
    (*connection)->on_blocked([&opened = **connection, command] { say_blocked(command, opened.blocked()); });
    const auto channel = (*connection)->open_channel();
    if (!channel) return options.explain(channel.error());
    return Session{std::move(*connection), *channel};
}

}  // namespace trilby::client
