// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/message_json.hpp"
#include "program/command.hpp"
#include "program/interrupt.hpp"
#include "program/message_text.hpp"
#include "program/terminal.hpp"

namespace trilby::client {
namespace {

struct SubscribeOptions {
    BrokerOptions broker;
    std::string exchange{default_exchange};
    std::vector<std::string> patterns;
    std::string queue;
    std::uint64_t count = 0;
    bool json = false;

    bool own_queue() const { return queue.empty(); }
};

/// The queue to read from: a private one that ends with the connection, or the named one, which is made when
/// missing.
Result<std::string> prepare_queue(Session& session, const SubscribeOptions& options) {
    if (options.own_queue())
        return session.channel->declare_queue({}, {.exclusive = true, .auto_delete = true});
    const auto known = session.channel->check_queue(options.queue);
    if (known) return options.queue;
    if (known.error().code != 404) return std::unexpected(known.error());
    const auto channel = session.connection->open_channel();  // the 404 closed the first one
    if (!channel) return std::unexpected(channel.error());
    session.channel = *channel;
    return session.channel->declare_queue(options.queue, {.durable = true});
}

Result<> start(Session& session, const SubscribeOptions& options) {
    const auto queue = prepare_queue(session, options);
    if (!queue) return std::unexpected(queue.error());
    Channel& channel = *session.channel;
    for (const std::string& pattern : options.patterns)
        if (auto bound = channel.bind_queue(*queue, options.exchange, pattern); !bound) return bound;
    // Only a private queue may give away more than is printed; what others could still read is settled one by
    // one.
    if (options.own_queue()) return channel.consume(*queue, Channel::Acknowledge::automatically);
    if (auto limited = channel.prefetch(100); !limited) return limited;
    return channel.consume(*queue, Channel::Acknowledge::by_hand);
}

bool print(const std::string& text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

/// 0: it is no terminal, or does not say.
std::size_t columns_of(int descriptor) {
    winsize size{};
    return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

std::string to_json(const Delivery& delivery) {
    const Message& message = delivery.message;
    return message_to_json({message.exchange, message.routing_key, message.properties, message.body},
                           {.redelivered = delivery.redelivered}) +
           "\n";
}

Done subscribe(const SubscribeOptions& options) {
    for (const std::string& pattern : options.patterns)
        if (pattern.size() > 255) return usage("A pattern is longer than 255 bytes.");
    if (options.queue.size() > 255) return usage("The name of the queue is longer than 255 bytes.");
    if (options.patterns.empty() && options.own_queue())
        return usage(
            "Nothing to subscribe to: give a pattern such as 'org.fedoraproject.#', or a queue with "
            "--queue.");

    auto session = Session::open(options.broker, "subscribe");
    if (!session) return std::unexpected(session.error());
    const Interrupt interrupt;
    session->connection->interrupt_with(interrupt.descriptor());
    if (auto started = start(*session, options); !started) return options.broker.explain(started.error());

    const bool terminal = isatty(STDOUT_FILENO) == 1;
    const Palette palette = Palette::of(shows_colours(STDOUT_FILENO));
    if (terminal && !options.json) fmt::print("Listening; end with Ctrl-C.\n\n");
    std::uint64_t seen = 0;
    while (options.count == 0 || seen < options.count) {
        if (interrupt.happened()) break;  // a busy stream must not keep it from being seen
        const auto delivery = session->channel->next_delivery(Clock::now() + std::chrono::hours(1));
        if (!delivery) return options.broker.explain(delivery.error());
        if (!*delivery) continue;
        const bool printed =
            print(options.json ? to_json(**delivery)
                               : delivery_to_text(**delivery, palette, columns_of(STDOUT_FILENO)));
        if (!printed) return trouble("Cannot write to standard output: is the disk full?");
        if (!options.own_queue())
            if (auto settled = session->channel->acknowledge_up_to((*delivery)->delivery_tag); !settled)
                return options.broker.explain(settled.error());
        ++seen;
    }
    if (auto closed = session->connection->close(); !closed && !options.own_queue())
        return options.broker.explain(closed.error());
    if (seen < options.count)
        return interrupted(fmt::format("Interrupted after {} of {} messages.", seen, options.count));
    return {};
}

}  // namespace

void add_subscribe_command(CommandLine& commands) {
    auto options = std::make_shared<SubscribeOptions>();
    CLI::App& command = commands.add_command("subscribe", "Print the messages of some topics as they come",
                                             [options] { return subscribe(*options); });
    command.footer(
        "Patterns: * stands for one word, # for any number of words.\n\n"
        "Examples:\n"
        "  trilby subscribe 'org.fedoraproject.prod.git.#'\n"
        "  trilby subscribe --json --count 100 '#' > messages.jsonl      (a file for trilby replay)");
    command.add_option("pattern", options->patterns, "Topics, such as 'org.fedoraproject.*.git.#'")
        ->option_text("PATTERN…");
    options->broker.add_to(command);
    add_exchange_option(command, options->exchange);
    command.add_flag("--json", options->json, "One line of JSON for each message");
    command.add_option("--count", options->count, "End after so many messages; 0 is never")
        ->option_text("N")
        ->check(not_negative);
    command
        .add_option(
            "--queue", options->queue,
            "Read from this queue, which keeps messages while nobody reads; it is made when it is missing")
        ->option_text("NAME");
}

}  // namespace trilby::client
