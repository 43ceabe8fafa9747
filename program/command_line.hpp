// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>

namespace trilby::client {

/// What the shell sees of how a command ended; docs/commands.md has the table for people.
enum class ExitCode : int {
    done = 0,
    failed = 1,
    usage = 2,          // what was typed cannot be meant
    unroutable = 3,     // no queue took a message that one had to take
    interrupted = 130,  // by Ctrl-C or SIGTERM, before it had done all that it was asked for
};

/// Why a command ends: a sentence that says what to do, and the exit code that goes with it.
struct Failed {
    ExitCode code;
    std::string sentence;
};

using Done = std::expected<void, Failed>;

inline std::unexpected<Failed> trouble(std::string sentence) {
    return std::unexpected(Failed{ExitCode::failed, std::move(sentence)});
}
inline std::unexpected<Failed> usage(std::string sentence) {
    return std::unexpected(Failed{ExitCode::usage, std::move(sentence)});
}
inline std::unexpected<Failed> unroutable(std::string sentence) {
    return std::unexpected(Failed{ExitCode::unroutable, std::move(sentence)});
}
inline std::unexpected<Failed> interrupted(std::string sentence) {
    return std::unexpected(Failed{ExitCode::interrupted, std::move(sentence)});
}

/// For options that are numbers without a sign: CLI11 makes a very large one of -1.
inline const CLI::Validator not_negative{
    [](std::string& text) { return text.starts_with('-') ? text + " is less than 0" : std::string(); }, ""};

/// `trilby COMMAND: sentence` on standard error.
void say(std::string_view command, std::string_view sentence);

/// The program's commands, of which one runs. All that it says about what went wrong begins with
/// `trilby COMMAND:`.
class CommandLine {
  public:
    CommandLine(std::string description, const std::string& version);
    CommandLine(const CommandLine&) = delete;
    CommandLine& operator=(const CommandLine&) = delete;

    /// `run` is called if it is the one that is chosen; what it throws is a failure. The name of a command in
    /// a group has both words: "journal check".
    CLI::App& add_command(const std::string& name, const std::string& help, std::function<Done()> run);
    CLI::App& add_group(const std::string& name, const std::string& help);

    /// Reads the command line, runs the command, and says what went wrong.
    ExitCode run(int argc, char** argv);

  private:
    void add_help();
    std::pair<CLI::App*, std::string> place_of(const std::string& name);

    CLI::App app_;
    std::function<Done()> chosen_;
    std::string chosen_name_;
};

}  // namespace trilby::client
