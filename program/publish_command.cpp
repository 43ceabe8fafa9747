// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include <boost/uuid/random_generator.hpp>
#include <boost/uuid/uuid_io.hpp>
#include <fmt/format.h>

#include "client/printable.hpp"
#include "json/table.hpp"
#include "json/text.hpp"
#include "program/command.hpp"
#include "program/interrupt.hpp"
#include "protocol/field_table.hpp"
#include "protocol/properties.hpp"

namespace trilby::client {
namespace {

struct PublishOptions {
    BrokerOptions broker;
    std::string exchange{default_exchange};
    std::string topic, body = "{}", id, content_type;
    std::vector<std::string> headers;
    bool raw = false, persistent = false, mandatory = false, quiet = false;
};

/// A random (version 4) UUID, so that receivers can tell messages apart.
std::string random_id() {
    return boost::uuids::to_string(boost::uuids::random_generator()());
}

/// `name=value` lines as a header table. A value that reads as a JSON value (20, true, "20") is that; else it
/// is text.
std::expected<std::string, Failed> header_table(const std::vector<std::string>& headers) {
    std::string object = "{";
    simdjson::dom::parser parser;
    for (const std::string& header : headers) {
        const auto equals = header.find('=');
        if (equals == std::string::npos || equals == 0)
            return usage(
                fmt::format("--header '{}' has no name and value: write --header name=value.", header));
        const std::string value = header.substr(equals + 1);
        if (!simdjson::validate_utf8(header.data(), header.size()))
            return usage(fmt::format("--header '{}' is not UTF-8.", header.substr(0, equals)));
        if (object.size() > 1) object.push_back(',');
        json::append_string(object, header.substr(0, equals));
        object.push_back(':');
        if (parser.parse(value).error() == simdjson::SUCCESS)
            object += value;
        else
            json::append_string(object, value);
    }
    object.push_back('}');
    auto table = json::to_table(parser.parse(object).get_object().value_unsafe());
    if (!table) return usage(fmt::format("--header: {}.", table.error()));
    return std::move(*table);
}

Done publish(PublishOptions& options) {
    if (options.topic.size() > 255) return usage("The topic is longer than 255 bytes.");
    if (options.body == "-") options.body.assign(std::istreambuf_iterator<char>(std::cin), {});
    if (!options.raw) {
        simdjson::dom::parser parser;
        if (const auto error = parser.parse(options.body).error(); error != simdjson::SUCCESS)
            return usage(fmt::format("The body is no JSON ({}): correct it, or send it as it is with --raw.",
                                     simdjson::error_message(error)));
    }
    const auto headers = header_table(options.headers);
    if (!headers) return std::unexpected(headers.error());
    const std::string id = options.id.empty() ? random_id() : options.id;
    if (id.size() > 255 || options.content_type.size() > 255)
        return usage("--id and --content-type hold at most 255 bytes.");
    if (options.content_type.empty())
        options.content_type = options.raw ? "application/octet-stream" : "application/json";

    protocol::Properties properties{.content_type = options.content_type,
                                    .headers = protocol::TableView(*headers),
                                    .delivery_mode = std::uint8_t{1},
                                    .message_id = id};
    if (!options.raw) properties.content_encoding = "utf-8";
    if (options.persistent) properties.delivery_mode = std::uint8_t{2};

    auto session = Session::open(options.broker, "publish");
    if (!session) return std::unexpected(session.error());
    const Interrupt interrupt;
    session->connection->interrupt_with(interrupt.descriptor());
    Channel& channel = *session->channel;
    auto sent = channel.select_confirms();
    // Mandatory always: whoever publishes to nobody wants to know it.
    if (sent)
        sent = channel.publish(options.exchange, options.topic, protocol::encode_properties(properties),
                               options.body, true);
    if (sent) sent = channel.await_confirms();
    if (!sent && sent.error().interrupted)
        return interrupted("Interrupted before the broker confirmed the message: it may have it, or not.");
    if (!sent) return options.broker.explain(sent.error());
    (void)session->connection->close();  // all that mattered is confirmed
    if (channel.refused() != 0)
        return trouble("The broker could not take the message (a queue may be full): try again later.");
    const std::string exchange = options.exchange.empty()
                                     ? "the default exchange"
                                     : fmt::format("the exchange '{}'", options.exchange);
    if (channel.take_returned()) {
        std::string nobody =
            fmt::format("No queue takes '{}' from {}: nobody has subscribed to it, and the message is gone.",
                        printable(options.topic), exchange);
        if (options.mandatory) return unroutable(std::move(nobody));
        say("publish", nobody);
        return {};
    }
    if (!options.quiet)
        fmt::print("Published {} ({} bytes) to {}, confirmed; its id is {}\n", printable(options.topic),
                   options.body.size(), exchange, id);
    return {};
}

}  // namespace

void add_publish_command(CommandLine& commands) {
    auto options = std::make_shared<PublishOptions>();
    CLI::App& command =
        commands.add_command("publish", "Publish one message and wait until the broker has it",
                             [options] { return publish(*options); });
    command.footer(
        "Examples:\n"
        "  trilby publish org.fedoraproject.prod.git.receive '{\"agent\": \"ralph\"}'\n"
        "  date | trilby publish --raw --header severity=20 org.example.clock -");
    command
        .add_option("topic", options->topic, "The routing key, such as org.fedoraproject.prod.git.receive")
        ->required()
        ->option_text("TOPIC");
    command
        .add_option("body", options->body,
                    "The body, which is JSON unless --raw; - reads standard input; {} when left out")
        ->option_text("BODY|-");
    options->broker.add_to(command);
    add_exchange_option(command, options->exchange);
    command
        .add_option("--header", options->headers,
                    "A header as name=value, as often as needed; 20 and true are no text")
        ->option_text("NAME=VALUE")
        ->allow_extra_args(false);
    command.add_option("--id", options->id, "The message id; otherwise a random UUID");
    command.add_option("--content-type", options->content_type,
                       "The content type; otherwise application/json");
    command.add_flag("--persistent", options->persistent,
                     "Durable queues keep it over a restart of the broker");
    command.add_flag("--mandatory", options->mandatory, "Fail, with exit code 3, when no queue takes it");
    command.add_flag("--raw", options->raw, "The body is not JSON: send it as it is");
    command.add_flag("--quiet", options->quiet, "Say nothing when all went well");
}

}  // namespace trilby::client
