// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "client/printable.hpp"
#include "program/command.hpp"
#include "program/interrupt.hpp"
#include "program/message_file.hpp"
#include "program/progress.hpp"

namespace trilby::client {
namespace {

struct ReplayOptions {
    BrokerOptions broker;
    std::string file;
    std::string exchange;  // empty: what the message says
    bool to_queues = false, mandatory = false;
    double rate = 0;          // messages a second, 0: as fast as the broker confirms
    std::uint64_t loops = 1;  // 0: without end
};

constexpr std::size_t confirm_window = 1000;

/// Reads all of it before any of it is published, so that a mistake in the last line is found in time. How
/// many publishes it is; 0: it can be read only once.
std::expected<std::uint64_t, Failed> check(MessageFile& file, const ReplayOptions& options) {
    if (!file.rewind()) return 0;
    std::uint64_t messages = 0, publishes = 0;
    std::optional<std::string> virtual_host;
    for (;;) {
        auto message = file.next();
        if (!message) return trouble(message.error().sentence + " Nothing was published.");
        if (!*message) break;
        ++messages;
        publishes += options.to_queues ? (*message)->queues.size() : 1;
        if (!(*message)->virtual_host) continue;
        if (virtual_host && virtual_host != (*message)->virtual_host)
            return trouble(
                fmt::format("{} holds messages of the virtual hosts '{}' and '{}', and a replay goes to one: "
                            "take one with `trilby journal dump --vhost`.",
                            options.file, printable(*virtual_host), printable(*(*message)->virtual_host)));
        virtual_host = (*message)->virtual_host;
    }
    if (messages == 0)
        return trouble(
            fmt::format("{} holds no messages: one JSON object a line is expected.", options.file));
    if (publishes == 0)
        return trouble(
            fmt::format("No message of {} says which queues held it, as --to-queues needs.", options.file));
    file.rewind();
    return publishes;
}

class Replay {
  public:
    Replay(const ReplayOptions& options, MessageFile& file, std::uint64_t publishes, Session& session,
           const Interrupt& interrupt)
        : options_(options),
          file_(file),
          total_(publishes * options.loops),
          session_(session),
          interrupt_(interrupt),
          progress_(total_),
          start_(Clock::now()) {
        session_.connection->on_blocked([this] {
            progress_.make_room();
            say_blocked("replay", session_.connection->blocked());
        });
    }

    Done run() {
        for (std::uint64_t loop = 0; options_.loops == 0 || loop < options_.loops; ++loop) {
            if (loop != 0 && !file_.rewind()) break;
            for (;;) {
                const auto message = file_.next();
                if (!message) return after(message.error());
                if (!*message) break;
                if (const auto sent = send(**message); !sent) return after(sent.error());
            }
        }
        if (const auto all = session_.channel->await_confirms(); !all) return after(all.error());
        progress_.finish(confirmed());
        return verdict();
    }

  private:
    std::uint64_t published() const { return session_.channel->published(); }
    std::uint64_t confirmed() const {
        return published() - session_.channel->unconfirmed() - session_.channel->refused();
    }

    Result<> send(const Outgoing& message) {
        if (!options_.to_queues) {
            const std::string_view exchange = !options_.exchange.empty() ? options_.exchange
                                              : message.exchange         ? std::string_view(*message.exchange)
                                                                         : default_exchange;
            return send(exchange, message.topic, message);
        }
        // The default exchange has a binding for each queue.
        for (const std::string& queue : message.queues)
            if (const auto sent = send({}, queue, message); !sent) return sent;
        return {};
    }

    Result<> send(std::string_view exchange, std::string_view topic, const Outgoing& message) {
        if (const auto turn = wait_for_turn(); !turn) return turn;
        const auto sent = session_.channel->publish(exchange, topic, message.properties, message.body, true);
        if (!sent) return sent;
        while (session_.channel->take_returned()) ++returned_;
        progress_.at(confirmed());
        return {};
    }

    Result<> wait_for_turn() {
        if (interrupt_.happened()) return std::unexpected(interruption());
        if (options_.rate > 0) {
            const std::chrono::duration<double> due(static_cast<double>(published()) / options_.rate);
            const auto at = start_ + std::chrono::duration_cast<Clock::duration>(due);
            if (at > Clock::now()) {
                const auto in_time = session_.channel->idle_until(at);
                if (!in_time) return std::unexpected(in_time.error());
                if (!*in_time) return std::unexpected(interruption());
            }
        }
        if (session_.channel->unconfirmed() >= confirm_window)
            return session_.channel->await_confirms(confirm_window / 2);
        return {};
    }

    /// What became of the messages when it ends before its end.
    std::string rest() const {
        const std::uint64_t unsure = session_.channel->unconfirmed();
        std::string text = total_ != 0 ? fmt::format("{} of {} messages are confirmed", confirmed(), total_)
                                       : fmt::format("{} messages are confirmed", confirmed());
        if (unsure != 0) text += fmt::format(", {} more were sent and may have arrived", unsure);
        return text + (published() == total_ ? "." : ", the rest was not sent.");
    }

    Done after(const Error& error) {
        progress_.make_room();
        if (!error.interrupted) {
            auto failed = options_.broker.explain(error);
            failed.error().sentence += " " + rest();
            return failed;
        }
        // What is under way arrives, unless the broker says that it takes nothing.
        if (!session_.connection->blocked())
            (void)session_.channel->settle(Clock::now() + std::chrono::seconds(1));
        return interrupted("Interrupted: " + rest());
    }

    Done after(const Failed& failed) {
        (void)session_.channel->await_confirms();
        progress_.make_room();
        return std::unexpected(Failed{failed.code, failed.sentence + " " + rest()});
    }

    Done verdict() {
        (void)session_.connection->close();  // all that mattered is confirmed
        while (session_.channel->take_returned()) ++returned_;
        if (const auto refused = session_.channel->refused(); refused != 0)
            return trouble(
                fmt::format("The broker could not take {} of the messages (a queue may be full).", refused));
        if (returned_ == 0) return {};
        std::string nobody =
            fmt::format("No queue took {} of the {} messages, and they are gone.", returned_, published());
        if (options_.mandatory) return unroutable(std::move(nobody));
        say("replay", nobody);
        return {};
    }

    const ReplayOptions& options_;
    MessageFile& file_;
    const std::uint64_t total_;  // 0: it is not known
    Session& session_;
    const Interrupt& interrupt_;
    Progress progress_;
    const Clock::time_point start_;
    std::uint64_t returned_ = 0;
};

Done replay(const ReplayOptions& options) {
    auto file = MessageFile::open(options.file);
    if (!file) return std::unexpected(file.error());
    const auto publishes = check(*file, options);
    if (!publishes) return std::unexpected(publishes.error());
    auto session = Session::open(options.broker, "replay");
    if (!session) return std::unexpected(session.error());
    const Interrupt interrupt;
    session->connection->interrupt_with(interrupt.descriptor());
    if (auto selected = session->channel->select_confirms(); !selected)
        return options.broker.explain(selected.error());
    return Replay(options, *file, *publishes, *session, interrupt).run();
}

}  // namespace

void add_replay_command(CommandLine& commands) {
    auto options = std::make_shared<ReplayOptions>();
    CLI::App& command = commands.add_command("replay", "Publish the messages of a file",
                                             [options] { return replay(*options); });
    command.footer(
        "Each line is a JSON object, as `trilby subscribe --json` and `trilby journal dump` print it; "
        "\"topic\" "
        "and \"body\" are enough.\n\n"
        "Examples:\n"
        "  trilby replay messages.jsonl --rate 100 --loop 10\n"
        "  trilby journal dump --data-dir /var/lib/trilby | trilby replay --to-queues -");
    command.add_option("file", options->file, "The messages, one JSON object a line; - is standard input")
        ->required()
        ->option_text("FILE|-");
    options->broker.add_to(command);
    command
        .add_option("--exchange", options->exchange,
                    "The exchange for all of them; otherwise what each says, or amq.topic")
        ->option_text("NAME");
    command.add_flag("--to-queues", options->to_queues,
                     "Straight to the queues that held them, as `trilby journal dump` says");
    command.add_flag("--mandatory", options->mandatory,
                     "Fail, with exit code 3, when no queue takes one of them");
    command
        .add_option("--rate", options->rate,
                    "Messages a second; as fast as the broker takes them when left out")
        ->option_text("N")
        ->check(not_negative);
    command.add_option("--loop", options->loops, "How often to go through the file; 0 is for ever")
        ->option_text("N")
        ->check(not_negative)
        ->capture_default_str();
}

}  // namespace trilby::client
