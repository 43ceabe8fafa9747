// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "protocol/field_table.hpp"

// Field tables as JSON objects, the way RabbitMQ's definitions and HTTP API show arguments.

namespace trilby::broker {

/// The raw table: integers become `l`, other numbers `d`, strings `S`, and so on. The error continues a
/// sentence about the arguments: `"x" must not be null`.
std::expected<std::string, std::string> to_table(simdjson::dom::object object);

/// The table must be valid. Every value that JSON has a type for keeps it; timestamps become numbers, byte
/// arrays strings, void null.
void append_json(std::string& out, protocol::TableView table);

/// With its quotes. What is not UTF-8 becomes U+FFFD, byte by byte.
void append_json_string(std::string& out, std::string_view text);

}  // namespace trilby::broker
