// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "client/command.hpp"
#include "client/interrupt.hpp"
#include "client/message_json.hpp"
#include "client/progress.hpp"

namespace trilby::client {
namespace {

struct ReplayOptions {
    BrokerOptions broker;
    std::string file;
    double rate = 0;          // messages a second, 0: as fast as the broker confirms
    std::uint64_t loops = 1;  // 0: without end
};

constexpr std::size_t confirm_window = 1000;

/// Every line or none: a mistake in the last line is found before the first is published.
std::expected<std::vector<Outgoing>, Failed> read_messages(const std::string& file) {
    std::ifstream in(file);
    if (!in) return trouble(fmt::format("Cannot read {}: {}.", file, std::strerror(errno)));
    std::vector<Outgoing> messages;
    simdjson::dom::parser parser;
    std::string line;
    for (std::size_t number = 1; std::getline(in, line); ++number) {
        if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
        simdjson::dom::element element;
        const auto error = parser.parse(line).get(element);
        auto message =
            error == simdjson::SUCCESS
                ? outgoing_from_json(element)
                : std::unexpected(fmt::format("it is no JSON ({})", simdjson::error_message(error)));
        if (!message)
            return trouble(fmt::format(
                "{}:{}: this line cannot be replayed: {}. Correct or remove it; nothing was published.", file,
                number, message.error()));
        messages.push_back(std::move(*message));
    }
    if (in.bad()) return trouble(fmt::format("Cannot read {}: {}.", file, std::strerror(errno)));
    if (messages.empty())
        return trouble(fmt::format("{} holds no messages: one JSON object a line is expected.", file));
    return messages;
}

class Replay {
  public:
    Replay(const ReplayOptions& options, const std::vector<Outgoing>& messages, Session& session,
           const Interrupt& interrupt)
        : options_(options),
          messages_(messages),
          session_(session),
          interrupt_(interrupt),
          progress_(messages.size() * options.loops) {}

    Result<> run() {
        const auto start = Clock::now();
        for (std::uint64_t loop = 0; options_.loops == 0 || loop < options_.loops; ++loop) {
            for (const Outgoing& message : messages_) {
                const auto go_on = wait_for_turn(start);
                if (!go_on) return std::unexpected(go_on.error());
                if (!*go_on) return finish();
                if (auto sent = session_.channel->publish(options_.broker.exchange, message.topic,
                                                          message.properties, message.body);
                    !sent)
                    return sent;
                ++published_;
                progress_.at(confirmed());
            }
        }
        return finish();
    }

    std::uint64_t confirmed() const { return published_ - session_.channel->unconfirmed(); }

  private:
    /// False: the person at the terminal has had enough.
    Result<bool> wait_for_turn(Clock::time_point start) {
        if (interrupt_.happened()) return false;
        if (options_.rate > 0) {
            const std::chrono::duration<double> due(static_cast<double>(published_) / options_.rate);
            const auto at = start + std::chrono::duration_cast<Clock::duration>(due);
            if (at > Clock::now()) {
                const auto in_time = session_.channel->idle_until(at);
                if (!in_time || !*in_time) return in_time;
            }
        }
        if (session_.channel->unconfirmed() >= confirm_window)
            if (auto confirmed = session_.channel->await_confirms(confirm_window / 2); !confirmed)
                return std::unexpected(confirmed.error());
        return true;
    }

    Result<> finish() {
        auto confirmed = session_.channel->await_confirms();
        progress_.finish(this->confirmed());
        return confirmed;
    }

    const ReplayOptions& options_;
    const std::vector<Outgoing>& messages_;
    Session& session_;
    const Interrupt& interrupt_;
    Progress progress_;
    std::uint64_t published_ = 0;
};

Done replay(const ReplayOptions& options) {
    const auto messages = read_messages(options.file);
    if (!messages) return std::unexpected(messages.error());
    const Interrupt interrupt;
    auto session = Session::open(options.broker, "trilby replay");
    if (!session) return std::unexpected(session.error());
    session->connection->interrupt_with(interrupt.descriptor());
    if (auto selected = session->channel->select_confirms(); !selected)
        return options.broker.explain(selected.error());

    Replay run(options, *messages, *session, interrupt);
    if (auto done = run.run(); !done) {
        auto failed = options.broker.explain(done.error());
        failed.error().sentence += fmt::format(" {} messages were confirmed before.", run.confirmed());
        return failed;
    }
    (void)session->connection->close();  // all that mattered is confirmed
    if (const auto refused = session->channel->refused(); refused != 0)
        return trouble(
            fmt::format("The broker could not take {} of the messages (a queue may be full).", refused));
    return {};
}

}  // namespace

void add_replay_command(CLI::App& app, int& exit_code) {
    auto options = std::make_shared<ReplayOptions>();
    CLI::App* command = app.add_subcommand("replay", "Publish the messages of a file");
    command->footer(
        "Each line is a JSON object with \"topic\", \"headers\", \"body\" and \"id\", as `trilby subscribe "
        "--json` prints it.\n\n"
        "Example:\n"
        "  trilby replay messages.jsonl --rate 100 --loop 10");
    command->add_option("file", options->file, "The messages, one JSON object a line")
        ->required()
        ->option_text("FILE.jsonl");
    options->broker.add_to(*command);
    command
        ->add_option("--rate", options->rate,
                     "Messages a second; as fast as the broker takes them when left out")
        ->option_text("N")
        ->check(CLI::NonNegativeNumber);
    command->add_option("--loop", options->loops, "How often to go through the file; 0 is for ever")
        ->option_text("N")
        ->capture_default_str();
    command->callback([options, &exit_code] { exit_code = report(replay(*options)); });
}

}  // namespace trilby::client
