// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <optional>
#include <string>

#include <simdjson.h>

#include "protocol/field_table.hpp"

// Field tables as JSON objects, the way RabbitMQ's definitions and HTTP API show arguments. JSON has fewer
// types than a field table, so what it cannot say stands in a second object beside the first one:
//
//     "arguments": {"x-max-length": 10, "price": "12.50"}, "argument_types": {"x-max-length": "I", "price":
//     "D"}
//
// Who knows only the first reads sensible values; who reads both has the table as it was on the wire, octet
// by octet. A type is the letter of the wire. Plain are l (whole numbers), d (numbers with a point), S, t, V
// (null), F and A; a table or an array with something in it that is not plain has an object or a list of
// types, in which null is plain. b B s u I i L T are whole numbers, f a number, D text with as many digits
// after the point as its scale, x text; what is no number is "NaN", "Infinity" or "-Infinity", or "NaN:" with
// its bits in hexadecimal.

namespace trilby::json {

/// How void is written: RabbitMQ refuses a document of definitions that has null in a table, and writes
/// "undefined" itself. With its type it is read as void again.
enum class Void { null, undefined };

/// The table must be valid.
void append_table(std::string& out, protocol::TableView table, Void as = Void::null);
void append_value(std::string& out, const protocol::ValueView& value, Void as = Void::null);

/// The second object, as JSON; empty: there is nothing that append_table does not say.
std::string types_of(protocol::TableView table, Void as = Void::null);

/// The raw table. What `types` says of fields that are not there is passed over. The error continues a
/// sentence about the object: `"x" must be at most 255 bytes long`.
std::expected<std::string, std::string> to_table(simdjson::dom::object values,
                                                 std::optional<simdjson::dom::element> types = {});

}  // namespace trilby::json
