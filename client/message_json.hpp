// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "client/json_text.hpp"
#include "client/message.hpp"

namespace trilby::client {

/// A message ready to be published.
struct Outgoing {
    std::string topic, properties, body;
};

/// Appends a JSON object's fields to a header table: strings, whole numbers, booleans, null, doubles, objects
/// and arrays. Raw table bytes; the error says what a field table cannot hold.
std::expected<std::string, std::string> headers_from_json(simdjson::dom::object fields);

/// The line of a message file: topic, headers, body (any JSON value) and id. The message is persistent JSON.
std::expected<Outgoing, std::string> outgoing_from_json(simdjson::dom::element line);

/// The same shape again, on one line without its end, with what else is known of the delivery. A body that is
/// no JSON stands in body_text, or in body_base64 when it is not even UTF-8.
std::string delivery_to_json(const Delivery& delivery);

/// For a reader: topic, headers and body in a block that ends with an empty line.
std::string delivery_to_text(const Delivery& delivery, const Palette& palette);

}  // namespace trilby::client
