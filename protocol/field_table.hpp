// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "protocol/byte_order.hpp"

// Field tables as RabbitMQ speaks them: its type letters, not those of the AMQP 0-9-1 grammar where the two
// differ ('s' is an int16, 'U' does not exist, 'L' is signed). Views own nothing: they point into the bytes
// they were made from, and reading one never leaves those bytes, whatever the bytes are.

namespace trilby::protocol {

class ArrayView;
class TableView;

/// One value: its type letter and exactly its payload; for S, x, A and F without their length.
struct ValueView {
    char type = 'V';
    std::string_view bytes;

    std::optional<std::int64_t> as_integer() const;     ///< b B s u I i l L
    std::optional<std::string_view> as_string() const;  ///< S and x
    std::optional<bool> as_boolean() const;             ///< t; any non-zero octet is true
    std::optional<double> as_double() const;            ///< f and d
    std::optional<std::uint64_t> as_timestamp() const;  ///< T; seconds
    std::optional<TableView> as_table() const;          ///< F
    std::optional<ArrayView> as_array() const;          ///< A
};

struct TableField {
    std::string_view name;
    ValueView value;
};

namespace detail {

inline constexpr std::int8_t unknown_type = -1;
inline constexpr std::int8_t length_prefixed = -2;

/// Payload size by type letter, or one of the two marks above.
inline constexpr auto payload_size = [] {
    std::array<std::int8_t, 256> size{};
    size.fill(unknown_type);
    for (const char letter : {'S', 'x', 'A', 'F'}) size[static_cast<unsigned char>(letter)] = length_prefixed;
    for (const char letter : {'I', 'i', 'f'}) size[static_cast<unsigned char>(letter)] = 4;
    for (const char letter : {'l', 'L', 'd', 'T'}) size[static_cast<unsigned char>(letter)] = 8;
    for (const char letter : {'t', 'b', 'B'}) size[static_cast<unsigned char>(letter)] = 1;
    for (const char letter : {'s', 'u'}) size[static_cast<unsigned char>(letter)] = 2;
    size['D'] = 5;
    size['V'] = 0;
    return size;
}();

/// Reads letter and value at `at`; returns what follows it, or nullptr when it does not fit or has no known
/// type.
inline const char* read_value(const char* at, const char* end, ValueView& value) {
    if (at == end) return nullptr;
    value.type = *at++;
    auto left = static_cast<std::size_t>(end - at);
    std::size_t size = 0;
    if (const auto known = payload_size[static_cast<unsigned char>(value.type)]; known >= 0) {
        size = static_cast<std::size_t>(known);
    } else {
        if (known == unknown_type || left < 4) return nullptr;
        size = load_big_endian<std::uint32_t>(at);
        at += 4;
        left -= 4;
    }
    if (left < size) return nullptr;
    value.bytes = {at, size};
    return at + size;
}

inline const char* read_field(const char* at, const char* end, TableField& field) {
    const auto length = static_cast<unsigned char>(*at++);
    if (static_cast<std::size_t>(end - at) < length) return nullptr;
    field.name = {at, length};
    return read_value(at + length, end, field.value);
}

/// Walks the entries between two pointers; malformed data ends the walk early.
template <class Entry, const char* (*read)(const char*, const char*, Entry&)>
class EntryIterator {
  public:
    using value_type = Entry;
    using reference = const Entry&;
    using pointer = const Entry*;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;  // the entry lives in the iterator
    using iterator_concept = std::forward_iterator_tag;

    EntryIterator() = default;
    EntryIterator(const char* at, const char* end) : at_(at), next_(at), end_(end) { load(); }

    reference operator*() const { return entry_; }
    pointer operator->() const { return &entry_; }
    EntryIterator& operator++() {
        at_ = next_;
        load();
        return *this;
    }
    EntryIterator operator++(int) {
        auto before = *this;
        ++*this;
        return before;
    }
    friend bool operator==(const EntryIterator& a, const EntryIterator& b) { return a.at_ == b.at_; }

  private:
    void load() {
        if (at_ == end_) return;
        next_ = read(at_, end_, entry_);
        if (next_ == nullptr) at_ = next_ = end_;
    }

    const char* at_ = nullptr;  // of the current entry; end_ when there is none
    const char* next_ = nullptr;
    const char* end_ = nullptr;
    Entry entry_{};
};

}  // namespace detail

/// The fields of a table in their order, duplicates included. `raw` is the table without its length.
class TableView {
  public:
    using Field = TableField;
    using iterator = detail::EntryIterator<TableField, detail::read_field>;

    TableView() = default;
    explicit TableView(std::string_view raw) : raw_(raw) {}

    std::string_view raw() const { return raw_; }
    bool empty() const { return raw_.empty(); }

    iterator begin() const { return {raw_.data(), raw_.data() + raw_.size()}; }
    iterator end() const { return {raw_.data() + raw_.size(), raw_.data() + raw_.size()}; }

    /// The first field of that name.
    std::optional<ValueView> find(std::string_view name) const {
        TableField field;
        const char* const end = raw_.data() + raw_.size();
        for (const char* at = raw_.data(); at != end;) {
            at = detail::read_field(at, end, field);
            if (at == nullptr) break;
            if (field.name == name) return field.value;
        }
        return std::nullopt;
    }
    /// The first ones of two names, in one walk.
    std::pair<std::optional<ValueView>, std::optional<ValueView>> find(std::string_view one,
                                                                       std::string_view other) const {
        std::pair<std::optional<ValueView>, std::optional<ValueView>> found;
        TableField field;
        const char* const end = raw_.data() + raw_.size();
        for (const char* at = raw_.data(); at != end;) {
            at = detail::read_field(at, end, field);
            if (at == nullptr) break;
            if (field.name == one && !found.first) found.first = field.value;
            if (field.name == other && !found.second) found.second = field.value;
        }
        return found;
    }

  private:
    std::string_view raw_;
};

/// The values of an array. `raw` is the array without its length.
class ArrayView {
  public:
    using iterator = detail::EntryIterator<ValueView, detail::read_value>;

    ArrayView() = default;
    explicit ArrayView(std::string_view raw) : raw_(raw) {}

    std::string_view raw() const { return raw_; }
    bool empty() const { return raw_.empty(); }

    iterator begin() const { return {raw_.data(), raw_.data() + raw_.size()}; }
    iterator end() const { return {raw_.data() + raw_.size(), raw_.data() + raw_.size()}; }

  private:
    std::string_view raw_;
};

inline constexpr int max_table_depth = 64;

/// Whether all of it can be read: known types, nothing cut, tables and arrays inside at most `max_depth`
/// deep.
bool valid_table(std::string_view raw, int max_depth = max_table_depth);
bool valid_array(std::string_view raw, int max_depth = max_table_depth);

/// RabbitMQ's word for a type letter, as its error texts have it: "longstr", "signedint", ... or "".
std::string_view type_word(char type);

/// For logs and people: {a: 1, b: "x", c: {d: true}}. Control characters are escaped.
std::string to_text(TableView table);
std::string to_text(const ValueView& value);

/// Letter and payload, with the length where the type has one.
void append_value(std::string& out, const ValueView& value);

/// Writes the fields of a table, in order. Names have at most 255 bytes.
class TableBuilder {
  public:
    TableBuilder& string(std::string_view name, std::string_view value);
    TableBuilder& integer(std::string_view name, std::int64_t value);    ///< l
    TableBuilder& integer32(std::string_view name, std::int32_t value);  ///< I
    TableBuilder& boolean(std::string_view name, bool value);
    TableBuilder& double_(std::string_view name, double value);
    TableBuilder& timestamp(std::string_view name, std::uint64_t seconds);
    TableBuilder& void_(std::string_view name);
    TableBuilder& table(std::string_view name, TableView value);
    TableBuilder& array(std::string_view name, std::string_view raw_array);
    TableBuilder& value(std::string_view name, const ValueView& value);

    /// The table without its length; the builder is empty afterwards.
    std::string take();

  private:
    TableBuilder& put(std::string_view name, char type, std::string_view bytes);

    std::string raw_;
};

class ArrayBuilder {
  public:
    ArrayBuilder& string(std::string_view value);
    ArrayBuilder& integer(std::int64_t value);  ///< l
    ArrayBuilder& boolean(bool value);
    ArrayBuilder& table(TableView value);
    ArrayBuilder& value(const ValueView& value);

    /// The array without its length; the builder is empty afterwards.
    std::string take();

  private:
    std::string raw_;
};

}  // namespace trilby::protocol
