// SPDX-License-Identifier: Apache-2.0
#include "protocol/properties.hpp"

#include "protocol/bytes.hpp"

namespace trilby::protocol {

namespace {

constexpr unsigned first_flag = 1u << 15;
constexpr unsigned used_flags = 0xFFFC;  // 14 properties; bit 0 would announce another flags word

void get(Reader& from, std::optional<std::uint8_t>& value) {
    value = from.octet();
}
void get(Reader& from, std::optional<std::uint64_t>& value) {
    value = from.long_long();
}
void get(Reader& from, std::optional<std::string_view>& value) {
    value = from.short_string();
}
void get(Reader& from, std::optional<TableView>& value) {
    value = from.table();
}

void put(Writer& to, std::uint8_t value) {
    to.octet(value);
}
void put(Writer& to, std::uint64_t value) {
    to.long_long(value);
}
void put(Writer& to, std::string_view value) {
    to.short_string(value);
}
void put(Writer& to, TableView value) {
    to.table(value);
}

/// Calls f(member, flag) for every property in order.
template <class P, class F>
void each_property(P& properties, F f) {
    unsigned flag = first_flag;
    std::apply([&](const auto&... field) { ((f(properties.*field.member, flag), flag >>= 1), ...); },
               Properties::fields);
}

}  // namespace

std::optional<Properties> decode_properties(std::string_view flags_and_values) {
    std::optional<Properties> result{std::in_place};
    Reader from{flags_and_values};
    const unsigned flags = from.short_int();
    each_property(*result, [&](auto& property, unsigned flag) {
        if ((flags & flag) != 0) get(from, property);
    });
    if (!from.ok() || !from.at_end() || (flags & ~used_flags) != 0) result.reset();
    return result;
}

std::string encode_properties(const Properties& properties) {
    unsigned flags = 0;
    each_property(properties, [&](const auto& property, unsigned flag) {
        if (property) flags |= flag;
    });
    std::string out;
    Writer to{out};
    to.short_int(static_cast<std::uint16_t>(flags));
    each_property(properties, [&](const auto& property, unsigned) {
        if (property) put(to, *property);
    });
    return out;
}

std::optional<ContentHeader> decode_content_header(std::string_view payload) {
    constexpr std::size_t flags_size = 2;
    Reader from{payload};
    ContentHeader header;
    header.class_id = from.short_int();
    header.weight = from.short_int();
    header.body_size = from.long_long();
    header.properties = from.rest();
    if (!from.ok() || header.properties.size() < flags_size) return std::nullopt;
    return header;
}

}  // namespace trilby::protocol
