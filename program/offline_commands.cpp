// SPDX-License-Identifier: Apache-2.0
#include "program/offline_commands.hpp"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "program/config_command.hpp"
#include "program/data_options.hpp"
#include "program/definitions_command.hpp"
#include "program/journal_command.hpp"

namespace trilby::broker {

void add_definitions_commands(client::CommandLine& commands) {
    commands.add_group(
        "definitions",
        "What a stopped broker has stored: vhosts, users, permissions, exchanges, queues, bindings");
    const auto add = [&](const char* name, const char* help, const auto& run) -> CLI::App& {
        auto data = std::make_shared<DataOptions>();
        auto file = std::make_shared<std::string>();
        CLI::App& command = commands.add_command(name, help, [=]() -> client::Done {
            run(data->configuration(), *file);
            return {};
        });
        command.add_option("file", *file, "JSON in RabbitMQ's format, - for standard input or output")
            ->required()
            ->option_text("FILE|-");
        data->add_to(command);
        return command;
    };
    add("definitions export", "Write them to FILE", export_definitions);
    auto vhost = std::make_shared<std::string>();
    add("definitions import", "Add those of FILE",
        [vhost](const Configuration& configuration, const std::filesystem::path& file) {
            import_definitions(configuration, file, *vhost);
        })
        .add_option("--vhost", *vhost, "Read them into this virtual host, as RabbitMQ exports a single one")
        ->option_text("NAME");
}

void add_config_commands(client::CommandLine& commands) {
    commands.add_group("config", "What the configuration file says");
    const auto add = [&](const char* name, const char* help, void (*run)(const std::filesystem::path&)) {
        auto file = std::make_shared<std::string>();
        CLI::App& command = commands.add_command(name, help, [=]() -> client::Done {
            run(*file);
            return {};
        });
        command.add_option("--config", *file, "The broker's configuration file (TOML)")->option_text("FILE");
    };
    add("config check", "Read it, and the definitions that it names; exit code 1 if anything is wrong",
        check_configuration);
    add("config show", "Print every key as TOML, with its value and where that is from", show_configuration);
}

void add_journal_commands(client::CommandLine& commands) {
    commands.add_group("journal", "What a stopped broker has in its journal of messages");
    const auto add = [&](const char* name, const char* help, const auto& run) -> CLI::App& {
        auto data = std::make_shared<DataOptions>();
        CLI::App& command = commands.add_command(name, help, [=]() -> client::Done {
            if (!run(data->configuration().data_directory))
                return client::trouble("The journal is damaged; what is whole was read.");
            return {};
        });
        data->add_to(command);
        return command;
    };
    add("journal check", "Read all of it and say what is damaged; exit code 1 if anything is", check_journal);
    auto vhost = std::make_shared<std::optional<std::string>>();
    add("journal dump", "Print every message as a line of JSON, for `trilby replay`",
        [vhost](const std::filesystem::path& directory) { return dump_journal(directory, *vhost); })
        .add_option("--vhost", *vhost, "Only those of this virtual host")
        ->option_text("NAME");
}

}  // namespace trilby::broker
