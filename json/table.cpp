// SPDX-License-Identifier: Apache-2.0
#include "json/table.hpp"

#include <cmath>
#include <iterator>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>

#include "json/number.hpp"
#include "json/text.hpp"
#include "protocol/bytes.hpp"

namespace trilby::json {
namespace {

using protocol::ArrayView;
using protocol::TableView;
using protocol::ValueView;
using simdjson::dom::element;

constexpr std::string_view undefined = "undefined";

// ---- Writing.

template <class Entries, class Append>
void append_each(std::string& out, char open, const Entries& entries, char close, Append append) {
    out += open;
    std::string_view separator;
    for (const auto& entry : entries) {
        out += separator;
        append(entry);
        separator = ",";
    }
    out += close;
}

/// Is it what the JSON of it is read back as when nothing is said of its type? Of tables and arrays that is
/// asked inside.
bool is_plain(const ValueView& value, Void as) {
    switch (value.type) {
        case 'd': return std::isfinite(*value.as_double());
        case 't': return static_cast<unsigned char>(value.bytes[0]) <= 1;
        case 'V': return as == Void::null;
        default: return std::string_view{"lSFA"}.find(value.type) != std::string_view::npos;
    }
}

/// Appends null for what is plain, and says whether anything is not.
bool append_type(std::string& out, const ValueView& value, Void as, bool always);

bool append_types(std::string& out, TableView table, Void as) {
    std::unordered_map<std::string_view, std::size_t> times;
    for (const auto& field : table) ++times[field.name];
    bool any = false;
    out += '{';
    for (const auto& field : table) {
        const auto start = out.size();
        if (any) out += ',';
        append_string(out, field.name);
        out += ':';
        // Of a name that is there twice each has to be told from the other.
        if (append_type(out, field.value, as, times[field.name] > 1))
            any = true;
        else
            out.resize(start);
    }
    out += '}';
    return any;
}

bool append_types(std::string& out, ArrayView array, Void as) {
    bool any = false;
    append_each(out, '[', array, ']', [&](const ValueView& value) {
        const auto start = out.size();
        if (append_type(out, value, as, false)) {
            any = true;
        } else {
            out.resize(start);
            out += "null";
        }
    });
    return any;
}

bool append_type(std::string& out, const ValueView& value, Void as, bool always) {
    const auto start = out.size();
    if (const auto table = value.as_table(); table && append_types(out, *table, as)) return true;
    out.resize(start);
    if (const auto array = value.as_array(); array && append_types(out, *array, as)) return true;
    out.resize(start);
    if (is_plain(value, as) && !always) return false;
    append_string(out, {&value.type, 1});
    return true;
}

// ---- Reading.

/// Why a value cannot be in a table; empty: it can. The parser bounds how deep this goes.
using Reason = std::string;
using Types = std::optional<element>;

Reason read_value(std::string& out, element value, Types type);

/// The types of the fields of an object, each name's in their order.
class FieldTypes {
  public:
    Reason read(const Types& types) {
        simdjson::dom::object object;
        if (!types || types->is_null()) return {};
        if (types->get_object().get(object) != simdjson::SUCCESS)
            return "must have an object of types, as it is an object itself";
        for (const auto& [name, type] : object) of_name_[name].types.push_back(type);
        return {};
    }

    Types next(std::string_view name) {
        const auto found = of_name_.find(name);
        if (found == of_name_.end() || found->second.taken == found->second.types.size()) return {};
        return found->second.types[found->second.taken++];
    }

  private:
    struct OfName {
        std::vector<element> types;
        std::size_t taken = 0;
    };
    std::unordered_map<std::string_view, OfName> of_name_;
};

Reason read_fields(std::string& out, simdjson::dom::object object, const Types& types) {
    constexpr std::size_t longest_name = 255;
    FieldTypes of_fields;
    if (auto reason = of_fields.read(types); !reason.empty()) return reason;
    for (const auto& [text, value] : object) {
        const std::string name = octets_of(text);
        if (name.size() > longest_name)
            return fmt::format("\"{}…\" is longer than the 255 bytes that a name may have",
                               text.substr(0, 20));
        protocol::Writer{out}.short_string(name);
        if (auto reason = read_value(out, value, of_fields.next(text)); !reason.empty()) {
            // The innermost name stands at the end: "a": "b" must be …
            return fmt::format("\"{}\"{} {}", text, reason.starts_with('"') ? ":" : "", reason);
        }
    }
    return {};
}

Reason read_entries(std::string& out, simdjson::dom::array list, const Types& types) {
    std::vector<element> of_entries;
    if (types && !types->is_null()) {
        simdjson::dom::array all;
        if (types->get_array().get(all) != simdjson::SUCCESS)
            return "must have a list of types, as it is a list itself";
        for (const element type : all) of_entries.push_back(type);
    }
    std::size_t index = 0;
    for (const element value : list) {
        const auto type = index < of_entries.size() ? Types{of_entries[index]} : Types{};
        if (auto reason = read_value(out, value, type); !reason.empty()) return reason;
        ++index;
    }
    return {};
}

char plain_type(element value) {
    using enum simdjson::dom::element_type;
    switch (value.type()) {
        case INT64:
        case UINT64: return 'l';
        case DOUBLE: return 'd';
        case STRING: return 'S';
        case BOOL: return 't';
        case NULL_VALUE: return 'V';
        case ARRAY: return 'A';
        case OBJECT: return 'F';
    }
    return 'V';
}

Reason read_string(std::string& octets, element value) {
    std::string_view text;
    if (value.get_string().get(text) != simdjson::SUCCESS) return "must be a string, as its type says";
    octets = octets_of(text);
    return {};
}

Reason read_boolean(std::string& octets, element value) {
    bool flag = false;
    std::uint64_t octet = 0;
    if (value.get_bool().get(flag) == simdjson::SUCCESS)
        octet = flag ? 1 : 0;
    else if (value.get_uint64().get(octet) != simdjson::SUCCESS || octet > 255)
        return "must be true or false, as its type says";
    octets.assign(1, static_cast<char>(octet));
    return {};
}

Reason read_void(element value) {
    std::string_view text;
    if (value.is_null() || (value.get_string().get(text) == simdjson::SUCCESS && text == undefined))
        return {};
    return "must be null or \"undefined\", as its type says";
}

/// `octets` as ValueView::bytes.
Reason read_payload(std::string& octets, char type, element value, const Types& inner) {
    switch (type) {
        case 'F': {
            simdjson::dom::object object;
            if (value.get_object().get(object) != simdjson::SUCCESS)
                return "must be an object, as its type says";
            return read_fields(octets, object, inner);
        }
        case 'A': {
            simdjson::dom::array list;
            if (value.get_array().get(list) != simdjson::SUCCESS) return "must be a list, as its type says";
            return read_entries(octets, list, inner);
        }
        case 'S':
        case 'x': return read_string(octets, value);
        case 't': return read_boolean(octets, value);
        case 'V': return read_void(value);
        default: return read_number(octets, type, value);
    }
}

Reason read_value(std::string& out, element value, Types type) {
    char letter = plain_type(value);
    if (std::string_view said; type && type->get_string().get(said) == simdjson::SUCCESS) {
        if (said.size() != 1 || protocol::type_word(said.front()).empty())
            return fmt::format("has the type \"{}\", which no value has", said.substr(0, 20));
        letter = said.front();
        type.reset();
    } else if (type && !type->is_null() && letter != 'F' && letter != 'A') {
        return "has types inside, but is neither an object nor a list";
    }
    std::string octets;
    if (auto reason = read_payload(octets, letter, value, type); !reason.empty()) return reason;
    protocol::append_value(out, {letter, octets});
    return {};
}

}  // namespace

void append_value(std::string& out, const ValueView& value, Void as) {
    if (const auto text = value.as_string()) {
        append_string(out, *text);
    } else if (const auto table = value.as_table()) {
        append_table(out, *table, as);
    } else if (const auto array = value.as_array()) {
        append_each(out, '[', *array, ']', [&](const ValueView& entry) { append_value(out, entry, as); });
    } else if (value.type == 'V') {
        if (as == Void::null)
            out += "null";
        else
            append_string(out, undefined);
    } else if (value.type == 't' && is_plain(value, as)) {
        out += *value.as_boolean() ? "true" : "false";
    } else {
        append_number(out, value);
    }
}

void append_table(std::string& out, TableView table, Void as) {
    append_each(out, '{', table, '}', [&](const protocol::TableField& field) {
        append_string(out, field.name);
        out += ':';
        append_value(out, field.value, as);
    });
}

std::string types_of(TableView table, Void as) {
    std::string types;
    if (!append_types(types, table, as)) types.clear();
    return types;
}

std::expected<std::string, std::string> to_table(simdjson::dom::object values, std::optional<element> types) {
    std::string raw;
    if (auto reason = read_fields(raw, values, types); !reason.empty())
        return std::unexpected(std::move(reason));
    if (!protocol::valid_table(raw))
        return std::unexpected(fmt::format("must not be nested deeper than {}", protocol::max_table_depth));
    return raw;
}

}  // namespace trilby::json
