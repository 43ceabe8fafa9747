// SPDX-License-Identifier: Apache-2.0
#include <exception>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "broker/configuration.hpp"
#include "broker/definitions_command.hpp"
#include "broker/journal_command.hpp"
#include "broker/server.hpp"
#include "client/commands.hpp"

namespace {

using trilby::broker::Configuration;

constexpr int usage_error = 2;

struct ServeOptions {
    std::string config;
    std::vector<std::string> listen;
    std::string data_dir;
    std::string definitions;
    unsigned threads = 0;
    std::string memory_watermark;
    std::string log_level;
    bool strict = false;
};

template <class T>
T valid(std::expected<T, std::string> parsed) {
    if (!parsed) throw std::runtime_error(parsed.error());
    return *std::move(parsed);
}

Configuration configuration_of(const ServeOptions& options) {
    using namespace trilby::broker;
    Configuration configuration =
        options.config.empty() ? Configuration{} : valid(load_configuration(options.config));
    if (!options.listen.empty()) {
        configuration.listeners.clear();
        for (const std::string& address : options.listen)
            configuration.listeners.push_back(valid(parse_listener(address)));
    }
    if (!options.data_dir.empty()) configuration.data_directory = options.data_dir;
    if (!options.definitions.empty()) configuration.definitions = options.definitions;
    if (options.threads != 0) configuration.threads = options.threads;
    if (!options.memory_watermark.empty())
        configuration.memory_watermark = valid(parse_memory_watermark(options.memory_watermark));
    configuration.strict = options.strict;
    if (!options.log_level.empty()) configuration.log_level = valid(parse_log_level(options.log_level));
    return configuration;
}

spdlog::level::level_enum level_of(trilby::broker::LogLevel level) {
    using trilby::broker::LogLevel;
    switch (level) {
        case LogLevel::trace: return spdlog::level::trace;
        case LogLevel::debug: return spdlog::level::debug;
        case LogLevel::info: return spdlog::level::info;
        case LogLevel::warning: return spdlog::level::warn;
        case LogLevel::error: return spdlog::level::err;
    }
    return spdlog::level::info;
}

void add_serve(CLI::App& app, int& exit_code) {
    auto options = std::make_shared<ServeOptions>();
    CLI::App* serve =
        app.add_subcommand("serve", "Run the broker. Without flags: loopback, port 5672, user guest");
    serve->add_option("--config", options->config, "Configuration file (TOML)")->type_name("FILE");
    serve->add_option("--listen", options->listen, "Address to listen on, may be repeated")
        ->type_name("HOST:PORT");
    serve->add_option("--data-dir", options->data_dir, "The broker's own directory")->type_name("DIR");
    serve->add_option("--threads", options->threads, "Shards, a thread each (default: the cores)")
        ->type_name("N")
        ->check(CLI::Range(1u, 64u));
    serve
        ->add_option("--definitions", options->definitions,
                     "Import definitions in RabbitMQ's format at start")
        ->type_name("FILE");
    serve
        ->add_option("--memory-watermark", options->memory_watermark,
                     "Block publishers above it: a fraction such as 0.4, or a size such as 512MiB")
        ->type_name("LIMIT");
    serve->add_flag("--strict", options->strict, "Do not start if something in the journal is damaged");
    serve->add_option("--log-level", options->log_level, "trace, debug, info, warning or error")
        ->type_name("LEVEL");
    serve->callback([options, &exit_code] {
        try {
            const Configuration configuration = configuration_of(*options);
            spdlog::set_level(level_of(configuration.log_level));
            trilby::broker::Server(configuration).run();
        } catch (const std::exception& error) {
            fmt::print(stderr, "trilby serve: {}\n", error.what());
            exit_code = 1;
        }
    });
}

void add_definitions(CLI::App& app, int& exit_code) {
    CLI::App* definitions = app.add_subcommand(
        "definitions",
        "What a stopped broker has stored: vhosts, users, permissions, exchanges, queues, bindings");
    definitions->require_subcommand(1);
    const auto add = [&](const char* name, const char* help,
                         void (*run)(const Configuration&, const std::filesystem::path&)) {
        auto options = std::make_shared<ServeOptions>();
        auto file = std::make_shared<std::string>();
        CLI::App* command = definitions->add_subcommand(name, help);
        command->add_option("FILE", *file, "JSON in RabbitMQ's format, - for standard input or output")
            ->required();
        command->add_option("--config", options->config, "The broker's configuration file (TOML)")
            ->type_name("FILE");
        command->add_option("--data-dir", options->data_dir, "The broker's own directory")->type_name("DIR");
        command->callback([=, &exit_code] {
            try {
                run(configuration_of(*options), *file);
            } catch (const std::exception& error) {
                fmt::print(stderr, "trilby definitions {}: {}\n", name, error.what());
                exit_code = 1;
            }
        });
    };
    add("export", "Write them to FILE", trilby::broker::export_definitions);
    add("import", "Add those of FILE", trilby::broker::import_definitions);
}

void add_journal(CLI::App& app, int& exit_code) {
    CLI::App* journal = app.add_subcommand("journal", "What a stopped broker has in its journal of messages");
    journal->require_subcommand(1);
    const auto add = [&](const char* name, const char* help, bool (*run)(const std::filesystem::path&)) {
        auto directory = std::make_shared<std::string>();
        CLI::App* command = journal->add_subcommand(name, help);
        command->add_option("DIR", *directory, "The broker's data directory")->required();
        command->callback([=, &exit_code] {
            try {
                if (!run(*directory)) exit_code = 1;
            } catch (const std::exception& error) {
                fmt::print(stderr, "trilby journal {}: {}\n", name, error.what());
                exit_code = 1;
            }
        });
    };
    add("check", "Read all of it and say what is damaged; exit code 1 if anything is",
        trilby::broker::check_journal);
    add("dump", "Print every message, one JSON object a line", trilby::broker::dump_journal);
}

}  // namespace

int main(int argc, char** argv) {
    spdlog::set_default_logger(spdlog::stderr_color_mt("trilby"));
    spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
    spdlog::flush_on(spdlog::level::trace);

    CLI::App app("Trilby, an embeddable AMQP 0-9-1 broker for small deployments", "trilby");
    app.set_version_flag("--version", "trilby " TRILBY_VERSION);
    app.require_subcommand(1);
    app.get_formatter()->column_width(34);
    int exit_code = 0;
    add_serve(app, exit_code);
    add_definitions(app, exit_code);
    add_journal(app, exit_code);
    trilby::client::add_client_commands(app, exit_code);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error);
        return code == 0 ? 0 : usage_error;
    }
    return exit_code;
}
