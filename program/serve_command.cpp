// SPDX-License-Identifier: Apache-2.0
#include "program/serve_command.hpp"

#include <expected>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "broker/log/spdlog_level.hpp"
#include "broker/server/configuration.hpp"
#include "broker/server/server.hpp"
#include "program/data_options.hpp"

namespace trilby::broker {
namespace {

struct ServeOptions {
    DataOptions data;
    std::vector<std::string> listen;
    std::string definitions;
    unsigned threads = 0;
    std::string memory_watermark;
    std::string log_level;
    bool strict = false;
    bool accept_loss = false;
};

/// A flag with a value that it cannot have.
struct WrongFlag : std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class T>
T valid(std::string_view flag, std::expected<T, std::string> parsed) {
    if (!parsed) throw WrongFlag(fmt::format("{}: {}.", flag, parsed.error()));
    return *std::move(parsed);
}

Configuration configuration_of(const ServeOptions& options) {
    Configuration configuration = options.data.configuration();
    if (!options.listen.empty()) {
        configuration.listeners.clear();
        for (const std::string& address : options.listen)
            configuration.listeners.push_back(valid("--listen", parse_listener(address)));
    }
    if (!options.definitions.empty()) configuration.definitions = options.definitions;
    if (options.threads != 0) configuration.threads = options.threads;
    if (!options.memory_watermark.empty())
        configuration.memory_watermark =
            valid("--memory-watermark", parse_memory_watermark(options.memory_watermark));
    configuration.strict = options.strict;
    configuration.accept_loss = options.accept_loss;
    if (!options.log_level.empty())
        configuration.log_level = valid("--log-level", parse_log_level(options.log_level));
    return configuration;
}

/// What was logged stands before whatever is said afterwards.
struct WrittenOut {
    log::Writer& log;
    ~WrittenOut() { log.finish(); }
};

void log_as_told(const Configuration& configuration, log::Writer& log) {
    spdlog::set_level(log::to_spdlog(configuration.log_level));
    log.set_format(configuration.log_format);
}

/// The configuration file as it is now, under the same flags.
std::expected<Configuration, std::string> reread(const ServeOptions& options, log::Writer& log) {
    try {
        Configuration configuration = configuration_of(options);
        log_as_told(configuration, log);
        return configuration;
    } catch (const std::exception& error) {
        return std::unexpected(error.what());
    }
}

client::Done serve(const ServeOptions& options, log::Writer& log) {
    const WrittenOut end{log};
    Configuration configuration;
    try {
        configuration = configuration_of(options);
    } catch (const WrongFlag& error) {
        return client::usage(error.what());
    }
    log_as_told(configuration, log);
    Server server(configuration);
    server.reread_with([&] { return reread(options, log); });
    server.run();
    return {};
}

}  // namespace

void add_serve_command(client::CommandLine& commands, log::Writer& log) {
    auto options = std::make_shared<ServeOptions>();
    CLI::App& command =
        commands.add_command("serve", "Run the broker. Without flags: loopback, port 5672, user guest",
                             [options, &log] { return serve(*options, log); });
    options->data.add_to(command);
    command.add_option("--listen", options->listen, "Address to listen on, may be repeated")
        ->option_text("HOST:PORT");
    command.add_option("--threads", options->threads, "Shards, a thread each (default: the cores)")
        ->option_text("N")
        ->check(CLI::Range(1u, most_threads));
    command
        .add_option("--definitions", options->definitions, "Import definitions in RabbitMQ's format at start")
        ->option_text("FILE");
    command
        .add_option("--memory-watermark", options->memory_watermark,
                    "Block publishers above it: a fraction such as 0.4, or a size such as 512MiB")
        ->option_text("LIMIT");
    command.add_flag("--strict", options->strict, "Do not start if something in the journal is damaged");
    command
        .add_flag("--accept-loss", options->accept_loss,
                  "Start although messages or definitions are missing; what cannot be used is moved aside")
        ->excludes("--strict");
    command.add_option("--log-level", options->log_level, "debug, info, warning, error or critical")
        ->option_text("LEVEL");
}

}  // namespace trilby::broker
