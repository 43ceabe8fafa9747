// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "protocol/byte_order.hpp"
#include "protocol/field_table.hpp"

namespace trilby::protocol {

/// Reads the arguments of a method or the properties of a content header. Never leaves its input: a read past
/// the end or a malformed value makes ok() false for good, and that read and all later ones yield zero
/// values. Strings and tables are views into the input.
class Reader {
  public:
    explicit Reader(std::string_view input) : at_(input.data()), end_(input.data() + input.size()) {}

    std::uint8_t octet() { return number<std::uint8_t>(); }
    std::uint16_t short_int() { return number<std::uint16_t>(); }
    std::uint32_t long_int() { return number<std::uint32_t>(); }
    std::uint64_t long_long() { return number<std::uint64_t>(); }

    /// Neighbouring bits share octets, low bit first; any other read ends the run (4.2.5.2).
    bool bit() {
        if (bits_left_ == 0) {
            bits_ = octet();
            bits_left_ = 8;
        }
        const bool value = (bits_ & 1) != 0;
        bits_ = static_cast<std::uint8_t>(bits_ >> 1);
        --bits_left_;
        return value;
    }

    std::string_view short_string() { return bytes(octet()); }
    std::string_view long_string() { return bytes(long_int()); }

    /// A whole valid table: what it yields can be iterated to its end, at every depth.
    TableView table() {
        const auto raw = long_string();
        if (!raw.empty() && !valid_table(raw)) {
            fail();
            return {};
        }
        return TableView{raw};
    }

    bool ok() const { return ok_; }
    bool at_end() const { return at_ == end_; }
    std::string_view rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }

  private:
    const char* take(std::size_t count) {
        bits_left_ = 0;
        if (static_cast<std::size_t>(end_ - at_) < count) [[unlikely]] {
            fail();
            return nullptr;
        }
        const char* start = at_;
        at_ += count;
        return start;
    }

    template <class T>
    T number() {
        const char* start = take(sizeof(T));
        return start != nullptr ? load_big_endian<T>(start) : T{};
    }

    std::string_view bytes(std::size_t count) {
        const char* start = take(count);
        return start != nullptr ? std::string_view{start, count} : std::string_view{};
    }

    void fail() {
        ok_ = false;
        at_ = end_;  // so that every later read fails as well
    }

    const char* at_;
    const char* end_;
    bool ok_ = true;
    std::uint8_t bits_ = 0;       // of the current run, next one lowest
    std::uint8_t bits_left_ = 0;  // 0: no run
};

namespace detail {

struct StringSink {
    StringSink(std::string& to) : out(&to) {}
    template <class T>
    void number(T value) {
        char bytes[sizeof(T)];
        store_big_endian(bytes, value);
        out->append(bytes, sizeof bytes);
    }
    void bytes(std::string_view value) { out->append(value); }
    void set_in_last(std::uint8_t mask) { out->back() = static_cast<char>(out->back() | mask); }

    std::string* out;
};

/// For who has made room for all of it.
struct MemorySink {
    MemorySink(char* to) : at(to) {}
    template <class T>
    void number(T value) {
        store_big_endian(at, value);
        at += sizeof(T);
    }
    void bytes(std::string_view value) {
        if (!value.empty()) std::memcpy(at, value.data(), value.size());
        at += value.size();
    }
    void set_in_last(std::uint8_t mask) { at[-1] = static_cast<char>(at[-1] | mask); }

    char* at;
};

/// Writes nothing: how large would it be?
struct SizeSink {
    template <class T>
    void number(T) {
        size += sizeof(T);
    }
    void bytes(std::string_view value) { size += value.size(); }
    void set_in_last(std::uint8_t) {}

    std::size_t size = 0;
};

}  // namespace detail

/// The mirror image of Reader.
template <class Sink>
class BasicWriter {
  public:
    explicit BasicWriter(Sink sink) : sink_(sink) {}

    void octet(std::uint8_t value) { number(value); }
    void short_int(std::uint16_t value) { number(value); }
    void long_int(std::uint32_t value) { number(value); }
    void long_long(std::uint64_t value) { number(value); }

    void bit(bool value) {
        if (bits_left_ == 0) {
            sink_.number(std::uint8_t{0});
            bits_left_ = 8;
        }
        if (value) sink_.set_in_last(static_cast<std::uint8_t>(1u << (8 - bits_left_)));
        --bits_left_;
    }

    /// At most 255 bytes: the caller has made sure of it. Throws std::length_error if not, for what follows
    /// would be read as something else.
    void short_string(std::string_view value) {
        if (value.size() > 255) throw std::length_error("more than 255 octets for a short string");
        octet(static_cast<std::uint8_t>(value.size()));
        sink_.bytes(value);
    }
    void long_string(std::string_view value) {
        long_int(static_cast<std::uint32_t>(value.size()));
        sink_.bytes(value);
    }
    void table(TableView value) { long_string(value.raw()); }

    const Sink& sink() const { return sink_; }

  private:
    template <class T>
    void number(T value) {
        bits_left_ = 0;
        sink_.number(value);
    }

    Sink sink_;
    std::uint8_t bits_left_ = 0;  // in the last octet; 0: no run
};

/// Appends to a string.
using Writer = BasicWriter<detail::StringSink>;

}  // namespace trilby::protocol
