// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

// A message as one line of JSON: what `trilby subscribe --json` and `trilby journal dump` print and `trilby
// replay` publishes, octet for octet. docs/commands.md describes it for who writes such lines by hand.

namespace trilby::client {

/// A message where it lies. `properties` are in wire form (protocol/properties.hpp).
struct MessageView {
    std::string_view exchange, routing_key, properties, body;
};

/// A queue that holds a message.
struct HeldBy {
    std::string queue;
    std::uint32_t deliveries = 0;  // so far
};

/// What is known of a message besides itself, and is not published again.
struct Circumstances {
    std::optional<bool> redelivered{};
    std::optional<std::string> virtual_host{};
    std::vector<HeldBy> held_by{};
};

/// Without the end of the line. Nothing in it steers a terminal.
std::string message_to_json(const MessageView& message, const Circumstances& circumstances);

/// A message ready to be published, and where it was before.
struct Outgoing {
    std::optional<std::string> exchange;  // none: it is not said
    std::string topic, properties, body;
    std::optional<std::string> virtual_host;
    std::vector<std::string> queues;
};

/// What message_to_json wrote. Who writes by hand may leave out all but "topic" and "body": such a message is
/// persistent JSON without headers. The error is the end of a sentence about the line: `it has no "body"`.
std::expected<Outgoing, std::string> outgoing_from_json(simdjson::dom::element line);

}  // namespace trilby::client
