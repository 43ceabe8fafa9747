// SPDX-License-Identifier: Apache-2.0
#include "program/command_line.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "program/nearest_word.hpp"
#include "protocol/quoted.hpp"

namespace trilby::client {
namespace {

/// "journal check"; empty for the program itself.
std::string path_of(const CLI::App& command) {
    if (command.get_parent() == nullptr) return {};
    const std::string above = path_of(*command.get_parent());
    return above.empty() ? command.get_name() : above + " " + command.get_name();
}

const CLI::App& deepest_chosen(const CLI::App& app) {
    const auto chosen = app.get_subcommands();
    return chosen.empty() ? app : deepest_chosen(*chosen.front());
}

std::vector<std::string> command_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
        names.push_back(command->get_name());
    return names;
}

std::vector<std::string> flag_names(const CLI::App& command) {
    std::vector<std::string> names;
    for (const CLI::Option* option : command.get_options())
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    return names;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
    const auto meant = nearest_word(word, known);
    return meant ? fmt::format(" Did you mean '{}'?", *meant) : std::string();
}

/// Where more about `command` is to be read.
std::string read_on(const CLI::App& command) {
    const std::string path = path_of(command);
    return fmt::format("`trilby help{}{}` says more.", path.empty() ? "" : " ", path);
}

std::string unknown_command(const CLI::App& where, std::string_view word) {
    const auto known = command_names(where);
    return fmt::format("there is no command '{}'.{} {}", word, did_you_mean(word, known), read_on(where));
}

/// What could not be read of the command line, as a sentence. CLI11 tells of what is missing before what
/// there is too much of; for a mistyped word the latter is the better hint.
std::string mistake(const CLI::App& where, const CLI::ParseError& error) {
    const auto left = where.remaining();
    const auto flag = std::ranges::find_if(left, [](const auto& word) { return word.starts_with('-'); });
    if (flag != left.end()) {
        const std::string name = flag->substr(0, flag->find('='));
        return fmt::format("there is no flag {}.{} {}", name, did_you_mean(name, flag_names(where)),
                           read_on(where));
    }
    const auto commands = command_names(where);
    if (!commands.empty() && left.empty())
        return fmt::format("say what to do: {}. {}", fmt::join(commands, ", "), read_on(where));
    if (!commands.empty()) return unknown_command(where, left.front());
    if (!left.empty())
        return fmt::format("'{}' is one word too many (quote what has spaces in it). {}", left.front(),
                           read_on(where));
    return fmt::format("{}. {}", error.what(), read_on(where));
}

}  // namespace

void say(std::string_view command, std::string_view sentence) {
    std::fflush(stdout);
    fmt::print(stderr, "trilby{}{}: {}\n", command.empty() ? "" : " ", command,
               protocol::printable(sentence));
}

CommandLine::CommandLine(std::string description, const std::string& version)
    : app_(std::move(description), "trilby") {
    app_.set_version_flag("--version", version);
    app_.require_subcommand(1);
    app_.get_formatter()->column_width(34);
    add_help();
}

std::pair<CLI::App*, std::string> CommandLine::place_of(const std::string& name) {
    const auto space = name.find(' ');
    if (space == std::string::npos) return {&app_, name};
    return {app_.get_subcommand(name.substr(0, space)), name.substr(space + 1)};
}

CLI::App& CommandLine::add_command(const std::string& name, const std::string& help,
                                   std::function<Done()> run) {
    const auto [parent, last_word] = place_of(name);
    CLI::App& command = *parent->add_subcommand(last_word, help);
    command.callback([this, name, run = std::move(run)] {
        chosen_ = run;
        chosen_name_ = name;
    });
    return command;
}

CLI::App& CommandLine::add_group(const std::string& name, const std::string& help) {
    CLI::App& group = *app_.add_subcommand(name, help);
    group.require_subcommand(1);
    return group;
}

void CommandLine::add_help() {
    auto words = std::make_shared<std::vector<std::string>>();
    CLI::App& command = add_command("help", "Say what a command does and takes", [this, words]() -> Done {
        const CLI::App* about = &app_;
        std::string path;
        for (const std::string& word : *words) {
            const auto named =
                about->get_subcommands([&](const CLI::App* one) { return one->get_name() == word; });
            if (named.empty()) return usage(unknown_command(*about, word));
            path += (path.empty() ? "" : " ") + about->get_name();
            about = named.front();
        }
        std::cout << about->get_formatter()->make_help(
                         about, path.empty() ? about->get_name() : path + " " + about->get_name(),
                         CLI::AppFormatMode::Normal)
                  << std::flush;
        return {};
    });
    command.add_option("command", *words, "The command, such as publish or journal check")
        ->option_text("COMMAND");
}

ExitCode CommandLine::run(int argc, char** argv) {
    try {
        app_.parse(argc, argv);
    } catch (const CLI::Success& asked) {  // for help, or the version
        app_.exit(asked);
        return ExitCode::done;
    } catch (const CLI::ParseError& error) {
        const CLI::App& where = deepest_chosen(app_);
        say(path_of(where), mistake(where, error));
        return ExitCode::usage;
    }
    try {
        const Done done = chosen_();
        if (done) return ExitCode::done;
        if (!done.error().sentence.empty()) say(chosen_name_, done.error().sentence);
        return done.error().code;
    } catch (const std::exception& error) {
        say(chosen_name_, error.what());
        return ExitCode::failed;
    }
}

}  // namespace trilby::client
