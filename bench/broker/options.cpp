// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/options.hpp"

#include "bench/broker/stamp.hpp"

namespace trilby::perf {

void add_options(CLI::App& app, Scenario& scenario) {
    app.add_option("--url", scenario.url_text, "The broker")->envname("TRILBY_URL")->option_text("URL");
    app.add_option("--pid", scenario.broker_process,
                   "The broker's process on this machine, to measure what it uses")
        ->option_text("PID");

    const std::string topology = "Topology";
    app.add_option("--producers", scenario.producers, "Connections that publish (1)")
        ->group(topology)
        ->check(CLI::PositiveNumber);
    app.add_option("--consumers", scenario.consumers, "Connections that consume (1)")
        ->group(topology)
        ->check(CLI::PositiveNumber);
    app.add_option("--queues", scenario.queues, "Queues (1)")->group(topology)->check(CLI::PositiveNumber);
    app.add_option("--queue", scenario.queue,
                   "Use one queue of this name, and leave it; through the default exchange, or bound to "
                   "--exchange")
        ->group(topology);
    app.add_option("--exchange-type", scenario.exchange_type, "direct, fanout, topic or headers")
        ->group(topology)
        ->check(CLI::IsMember({"direct", "fanout", "topic", "headers"}));
    app.add_option("--exchange", scenario.exchange,
                   "Use this exchange, \"\" for the default one; otherwise a new one")
        ->group(topology);
    app.add_option("--bindings", scenario.bindings_file, "A file with pattern TAB queue on each line")
        ->group(topology)
        ->check(CLI::ExistingFile);
    app.add_option("--keys", scenario.keys_file, "A file with a routing key on each line, used in turn")
        ->group(topology)
        ->check(CLI::ExistingFile);
    app.add_option("--topic-bindings", scenario.topic_bindings,
                   "Make so many org.fedoraproject bindings of a topic exchange")
        ->group(topology);
    app.add_option("--headers-bindings", scenario.headers_bindings,
                   "Make so many bindings of a headers exchange")
        ->group(topology);
    app.add_option("--matches", scenario.matches, "Bindings that match each message, with the two above (1)")
        ->group(topology)
        ->check(CLI::PositiveNumber);

    const std::string backlog = "Backlog";
    app.add_option("--only", scenario.only,
                   "producers: fill --queue; consumers: drain what such a run with the same --messages, "
                   "--producers and --size left there. Without a warm-up")
        ->group(backlog)
        ->check(CLI::IsMember({"producers", "consumers"}));
    app.add_option("--taken", scenario.taken,
                   "With --only consumers: so many of each producer's messages were taken before (0)")
        ->group(backlog);

    const std::string load = "Load";
    app.add_option("--size", scenario.size, "Bytes of each body (16)")->group(load);
    app.add_option("--confirm", scenario.confirm_window,
                   "Confirms, and at most so many publishes without one")
        ->group(load);
    app.add_option("--ack", scenario.acknowledge,
                   "Acknowledge every so many messages together; 0 is automatic (0)")
        ->group(load);
    app.add_option("--prefetch", scenario.prefetch,
                   "At most so many unacknowledged messages for each consumer")
        ->group(load);
    app.add_flag("--persistent", scenario.persistent, "Durable queues, persistent messages")->group(load);
    app.add_flag("--mandatory", scenario.mandatory, "Publish with the mandatory flag")->group(load);
    app.add_option("--rate", scenario.rate,
                   "Messages a second from each producer, whether or not the broker keeps up")
        ->group(load);
    app.add_flag("--ping-pong", scenario.ping_pong, "One message in flight; the latency is the round trip")
        ->group(load);
    app.add_flag("--latency", scenario.latency,
                 "Percentiles of latency and of the time to a confirm; always with --rate and --ping-pong")
        ->group(load);

    const std::string measuring = "Measuring";
    app.add_option("--messages", scenario.messages, "Messages of each producer, instead of --seconds")
        ->group(measuring);
    app.add_option("--seconds", scenario.seconds, "Publish for so long, then wait for the rest (5)")
        ->group(measuring);
    app.add_option("--warmup", scenario.warmup, "Seconds before anything is measured (1)")->group(measuring);
    app.add_option("--patience", scenario.patience,
                   "Seconds without progress that mean something is lost (30)")
        ->group(measuring);
    app.add_option("--threads", scenario.threads, "2: consumers have a thread of their own")
        ->group(measuring)
        ->check(CLI::Range(1, 2));
    app.add_option("--connections-idle", scenario.idle_connections,
                   "Instead: open so many connections with a channel, report what they take")
        ->group(measuring);
    app.add_flag("--human", scenario.human, "A table in place of the line of JSON");
}

std::string complete(Scenario& scenario) {
    const auto url = client::Url::parse(scenario.url_text);
    if (!url) return url.error();
    scenario.url = *url;
    if (scenario.topic_bindings != 0) scenario.exchange_type = "topic";
    if (scenario.headers_bindings != 0) scenario.exchange_type = "headers";

    const bool from_files = !scenario.bindings_file.empty() || !scenario.keys_file.empty();
    if (from_files && (scenario.bindings_file.empty() || scenario.keys_file.empty()))
        return "--bindings and --keys need each other.";
    if (from_files + (scenario.topic_bindings != 0) + (scenario.headers_bindings != 0) > 1)
        return "Choose one of --bindings, --topic-bindings and --headers-bindings.";
    if (scenario.exchange_type == "headers" && scenario.headers_bindings == 0)
        return "A headers exchange needs --headers-bindings.";
    if (scenario.matches > scenario.queues &&
        (scenario.topic_bindings != 0 || scenario.headers_bindings != 0))
        return "--matches goes to different queues: there must be as many --queues.";
    if (scenario.exchange == "" &&
        (from_files || scenario.topic_bindings != 0 || scenario.headers_bindings != 0))
        return "The default exchange takes no bindings: leave --exchange out.";
    if (!scenario.queue.empty()) {
        if (scenario.queues != 1 || from_files || scenario.topic_bindings != 0 ||
            scenario.headers_bindings != 0)
            return "--queue names the only queue: leave out --queues, --bindings and the like.";
        if (!scenario.exchange) scenario.exchange = "";
    }
    if (!scenario.only.empty()) {
        if (scenario.queue.empty() || scenario.messages == 0)
            return "--only needs --queue and --messages: the other run has to find the same.";
        if (scenario.ping_pong) return "--ping-pong needs both producers and consumers.";
        if (!scenario.consumes() && scenario.confirm_window == 0)
            return "--only producers needs --confirm, to know when all has come to the queue.";
        scenario.warmup = 0;
    }
    if (scenario.taken != 0 && (scenario.publishes() || scenario.taken > scenario.messages))
        return "--taken goes with --only consumers, and is at most --messages.";
    const std::size_t least = scenario.timed() ? Stamp::size_with_time : Stamp::size;
    if (scenario.size < least && scenario.size == 16 && scenario.ping_pong) scenario.size = least;
    if (scenario.size < least)
        return "A body holds what the check needs: --size 16 or more, 24 with --latency, --rate or "
               "--ping-pong.";
    if (scenario.prefetch != 0 && scenario.acknowledge > scenario.prefetch)
        return "With --ack above --prefetch the broker would wait for ever.";
    if (scenario.ping_pong && (scenario.producers != 1 || scenario.threads != 1))
        return "--ping-pong takes one producer and one thread.";
    if (scenario.acknowledge == 0 && scenario.prefetch != 0)
        return "--prefetch limits nothing without --ack.";
    if (scenario.idle_connections != 0 && scenario.broker_process == 0)
        return "--connections-idle needs the broker's --pid.";
    return {};
}

}  // namespace trilby::perf
