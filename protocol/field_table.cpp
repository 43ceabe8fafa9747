// SPDX-License-Identifier: Apache-2.0
#include "protocol/field_table.hpp"

#include <bit>
#include <cassert>
#include <charconv>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include "protocol/quoted.hpp"

namespace trilby::protocol {

namespace {

template <class T>
T number(const ValueView& value) {
    return static_cast<T>(load_big_endian<std::make_unsigned_t<T>>(value.bytes.data()));
}

bool valid_value(const ValueView& value, int max_depth) {
    if (value.type == 'F') return valid_table(value.bytes, max_depth - 1);
    if (value.type == 'A') return valid_array(value.bytes, max_depth - 1);
    return true;
}

template <class T>
std::string_view store(char (&room)[sizeof(T)], T value) {
    store_big_endian(room, value);
    return {room, sizeof room};
}

template <class T>
void append_number(std::string& out, T value) {
    char digits[32];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
    assert(error == std::errc{});
    out.append(digits, end);
}

void append_name(std::string& out, std::string_view name) {
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_' || c == '.';
    };
    for (const char c : name) {
        if (!plain(c)) return append_quoted(out, name);
    }
    name.empty() ? append_quoted(out, name) : void(out += name);
}

/// value * 10^-scale
void append_decimal(std::string& out, const ValueView& value) {
    const auto scale = static_cast<unsigned char>(value.bytes[0]);
    append_number(out, load_big_endian<std::uint32_t>(value.bytes.data() + 1));
    if (scale != 0) {
        out += "e-";
        append_number(out, scale);
    }
}

void append_text(std::string& out, TableView table, int max_depth);

void append_text(std::string& out, ArrayView array, int max_depth);

void append_text(std::string& out, const ValueView& value, int max_depth) {
    switch (value.type) {
        case 't': out += *value.as_boolean() ? "true" : "false"; break;
        case 'f':
        case 'd': append_number(out, *value.as_double()); break;
        case 'D': append_decimal(out, value); break;
        case 'S':
        case 'x': append_quoted(out, value.bytes); break;
        case 'T': append_number(out, *value.as_timestamp()); break;
        case 'V': out += "void"; break;
        case 'F': append_text(out, TableView{value.bytes}, max_depth - 1); break;
        case 'A': append_text(out, ArrayView{value.bytes}, max_depth - 1); break;
        default:
            if (const auto integer = value.as_integer()) append_number(out, *integer);
    }
}

void append_text(std::string& out, TableView table, int max_depth) {
    if (max_depth < 0) return void(out += "...");
    std::string_view separator;
    out += '{';
    for (const auto& field : table) {
        out += std::exchange(separator, ", ");
        append_name(out, field.name);
        out += ": ";
        append_text(out, field.value, max_depth);
    }
    out += '}';
}

void append_text(std::string& out, ArrayView array, int max_depth) {
    if (max_depth < 0) return void(out += "...");
    std::string_view separator;
    out += '[';
    for (const auto& value : array) {
        out += std::exchange(separator, ", ");
        append_text(out, value, max_depth);
    }
    out += ']';
}

}  // namespace

std::optional<std::int64_t> ValueView::as_integer() const {
    switch (type) {
        case 'b': return number<std::int8_t>(*this);
        case 'B': return number<std::uint8_t>(*this);
        case 's': return number<std::int16_t>(*this);
        case 'u': return number<std::uint16_t>(*this);
        case 'I': return number<std::int32_t>(*this);
        case 'i': return number<std::uint32_t>(*this);
        case 'l':
        case 'L': return number<std::int64_t>(*this);
        default: return std::nullopt;
    }
}

std::optional<std::string_view> ValueView::as_string() const {
    if (type != 'S' && type != 'x') return std::nullopt;
    return bytes;
}

std::optional<bool> ValueView::as_boolean() const {
    if (type != 't') return std::nullopt;
    return bytes[0] != 0;
}

std::optional<double> ValueView::as_double() const {
    if (type == 'f') return std::bit_cast<float>(number<std::uint32_t>(*this));
    if (type == 'd') return std::bit_cast<double>(number<std::uint64_t>(*this));
    return std::nullopt;
}

std::optional<std::uint64_t> ValueView::as_timestamp() const {
    if (type != 'T') return std::nullopt;
    return number<std::uint64_t>(*this);
}

std::optional<TableView> ValueView::as_table() const {
    if (type != 'F') return std::nullopt;
    return TableView{bytes};
}

std::optional<ArrayView> ValueView::as_array() const {
    if (type != 'A') return std::nullopt;
    return ArrayView{bytes};
}

bool valid_table(std::string_view raw, int max_depth) {
    if (max_depth < 0) return false;
    TableField field;
    const char* const end = raw.data() + raw.size();
    for (const char* at = raw.data(); at != end;) {
        at = detail::read_field(at, end, field);
        if (at == nullptr || !valid_value(field.value, max_depth)) return false;
    }
    return true;
}

bool valid_array(std::string_view raw, int max_depth) {
    if (max_depth < 0) return false;
    ValueView value;
    const char* const end = raw.data() + raw.size();
    for (const char* at = raw.data(); at != end;) {
        at = detail::read_value(at, end, value);
        if (at == nullptr || !valid_value(value, max_depth)) return false;
    }
    return true;
}

std::string_view type_word(char type) {
    switch (type) {
        case 't': return "bool";
        case 'b': return "byte";
        case 'B': return "unsignedbyte";
        case 's': return "short";
        case 'u': return "unsignedshort";
        case 'I': return "signedint";
        case 'i': return "unsignedint";
        case 'l':
        case 'L': return "long";
        case 'f': return "float";
        case 'd': return "double";
        case 'D': return "decimal";
        case 'S': return "longstr";
        case 'x': return "binary";
        case 'A': return "array";
        case 'T': return "timestamp";
        case 'F': return "table";
        case 'V': return "void";
        default: return "";
    }
}

std::string to_text(TableView table) {
    std::string out;
    append_text(out, table, max_table_depth);
    return out;
}

std::string to_text(const ValueView& value) {
    std::string out;
    append_text(out, value, max_table_depth);
    return out;
}

void append_value(std::string& out, const ValueView& value) {
    out += value.type;
    if (detail::payload_size[static_cast<unsigned char>(value.type)] == detail::length_prefixed) {
        char length[4];
        out += store(length, static_cast<std::uint32_t>(value.bytes.size()));
    }
    out += value.bytes;
}

TableBuilder& TableBuilder::put(std::string_view name, char type, std::string_view bytes) {
    if (name.size() > 255) throw std::length_error("more than 255 octets for the name of a field");
    raw_ += static_cast<char>(name.size());
    raw_ += name;
    append_value(raw_, {type, bytes});
    return *this;
}

TableBuilder& TableBuilder::string(std::string_view name, std::string_view value) {
    return put(name, 'S', value);
}

TableBuilder& TableBuilder::integer(std::string_view name, std::int64_t value) {
    char room[8];
    return put(name, 'l', store(room, static_cast<std::uint64_t>(value)));
}

TableBuilder& TableBuilder::integer32(std::string_view name, std::int32_t value) {
    char room[4];
    return put(name, 'I', store(room, static_cast<std::uint32_t>(value)));
}

TableBuilder& TableBuilder::boolean(std::string_view name, bool value) {
    const char octet = value ? 1 : 0;
    return put(name, 't', {&octet, 1});
}

TableBuilder& TableBuilder::double_(std::string_view name, double value) {
    char room[8];
    return put(name, 'd', store(room, std::bit_cast<std::uint64_t>(value)));
}

TableBuilder& TableBuilder::timestamp(std::string_view name, std::uint64_t seconds) {
    char room[8];
    return put(name, 'T', store(room, seconds));
}

TableBuilder& TableBuilder::void_(std::string_view name) {
    return put(name, 'V', {});
}

TableBuilder& TableBuilder::table(std::string_view name, TableView value) {
    return put(name, 'F', value.raw());
}

TableBuilder& TableBuilder::array(std::string_view name, std::string_view raw_array) {
    return put(name, 'A', raw_array);
}

TableBuilder& TableBuilder::value(std::string_view name, const ValueView& value) {
    return put(name, value.type, value.bytes);
}

std::string TableBuilder::take() {
    return std::exchange(raw_, {});
}

ArrayBuilder& ArrayBuilder::string(std::string_view value) {
    return this->value({'S', value});
}

ArrayBuilder& ArrayBuilder::integer(std::int64_t value) {
    char room[8];
    return this->value({'l', store(room, static_cast<std::uint64_t>(value))});
}

ArrayBuilder& ArrayBuilder::boolean(bool value) {
    const char octet = value ? 1 : 0;
    return this->value({'t', {&octet, 1}});
}

ArrayBuilder& ArrayBuilder::table(TableView value) {
    return this->value({'F', value.raw()});
}

ArrayBuilder& ArrayBuilder::value(const ValueView& value) {
    append_value(raw_, value);
    return *this;
}

std::string ArrayBuilder::take() {
    return std::exchange(raw_, {});
}

}  // namespace trilby::protocol
