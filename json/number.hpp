// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <simdjson.h>

#include "protocol/field_table.hpp"

// The numbers of field tables in JSON, as json/table.hpp says.

namespace trilby::json {

/// Of the types b B s u I i l L, f d, D, T, and of a t that is neither 0 nor 1.
void append_number(std::string& out, const protocol::ValueView& value);

/// Sets `octets` to a ValueView's bytes of that type. The result is the end of a sentence about the value
/// that says why it cannot; empty: it could.
std::string read_number(std::string& octets, char type, simdjson::dom::element value);

}  // namespace trilby::json
