// SPDX-License-Identifier: Apache-2.0
#include "broker/json_place.hpp"

#include <algorithm>

#include <simdjson.h>

namespace trilby::broker {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::error_code;

/// Reads everything, for the parser looks only at what is asked for. The parser bounds the depth.
error_code walk(ondemand::value value) {
    ondemand::json_type type{};
    if (const auto error = value.type().get(type)) return error;
    switch (type) {
        case ondemand::json_type::array: {
            ondemand::array array;
            if (const auto error = value.get_array().get(array)) return error;
            for (auto entry : array) {
                ondemand::value inner;
                if (const auto error = entry.get(inner)) return error;
                if (const auto error = walk(inner)) return error;
            }
            return simdjson::SUCCESS;
        }
        case ondemand::json_type::object: {
            ondemand::object object;
            if (const auto error = value.get_object().get(object)) return error;
            for (auto field : object) {
                ondemand::value inner;
                if (const auto error = field.error()) return error;
                if (const auto error = field.unescaped_key().error()) return error;
                if (const auto error = field.value().get(inner)) return error;
                if (const auto error = walk(inner)) return error;
            }
            return simdjson::SUCCESS;
        }
        case ondemand::json_type::number: return value.get_number().error();
        case ondemand::json_type::string: return value.get_string().error();
        case ondemand::json_type::boolean: return value.get_bool().error();
        case ondemand::json_type::null: return value.is_null() ? simdjson::SUCCESS : simdjson::N_ATOM_ERROR;
    }
    return simdjson::SUCCESS;
}

}  // namespace

std::size_t line_of_json_error(std::string_view json) {
    const simdjson::padded_string padded{json};
    ondemand::parser parser;
    ondemand::document document;
    ondemand::value root;
    const char* location = padded.data();
    if (parser.iterate(padded).get(document) == simdjson::SUCCESS) {
        if (document.get_value().get(root) == simdjson::SUCCESS) (void)walk(root);
        // None when all tokens were read: something is missing at the end.
        if (document.current_location().get(location) != simdjson::SUCCESS)
            location = padded.data() + padded.size();
    }
    return 1 + static_cast<std::size_t>(std::count(padded.data(), location, '\n'));
}

}  // namespace trilby::broker
