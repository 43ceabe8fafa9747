// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "protocol/field_table.hpp"
#include "protocol/methods/field.hpp"

namespace trilby::protocol::test {

inline constexpr std::uint64_t seeds[] = {1, 2, 3, 20090916, 0xFEDCBA9876543210};
inline constexpr std::string_view type_letters = "tbBsuIilLfdDSxATFV";

/// Values for whatever a declaration asks for. Keeps the bytes that the views it gave out point into.
class RandomValues {
  public:
    explicit RandomValues(std::uint64_t seed) : engine_(seed) {}

    std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
    bool one_in(std::uint64_t n) { return below(n) == 0; }

    std::string_view bytes(std::size_t max_size) {
        const auto size = one_in(8) ? (one_in(2) ? 0 : max_size) : below(max_size + 1);
        auto& bytes = kept_.emplace_back(size, '\0');
        for (auto& c : bytes) c = static_cast<char>(engine_());
        return bytes;
    }

    std::string_view table_bytes(int depth = 3) {
        std::string raw;
        for (auto fields = below(6); fields > 0; --fields) {
            const auto name = bytes(one_in(10) ? 255 : 12);
            raw += static_cast<char>(name.size());
            raw += name;
            append_value(raw, value(depth));
        }
        return kept_.emplace_back(std::move(raw));
    }

    std::string_view array_bytes(int depth = 3) {
        std::string raw;
        for (auto values = below(6); values > 0; --values) append_value(raw, value(depth));
        return kept_.emplace_back(std::move(raw));
    }

    ValueView value(int depth = 3) {
        const char type = type_letters[below(type_letters.size())];
        const auto size = detail::payload_size[static_cast<unsigned char>(type)];
        if (type == 'F') return {type, depth > 0 ? table_bytes(depth - 1) : std::string_view{}};
        if (type == 'A') return {type, depth > 0 ? array_bytes(depth - 1) : std::string_view{}};
        if (size == detail::length_prefixed) return {type, bytes(40)};
        auto& payload = kept_.emplace_back(static_cast<std::size_t>(size), '\0');
        for (auto& c : payload) c = static_cast<char>(engine_());
        return {type, payload};
    }

    template <class T>
    requires std::is_unsigned_v<T>
    void fill(T& to) { to = static_cast<T>(engine_()); }
    void fill(bool& to) { to = one_in(2); }
    void fill(std::string_view& to) { to = bytes(255); }
    void fill(TableView& to) { to = TableView{table_bytes()}; }

    template <class M, class T>
    void fill(M& method, const Field<M, T>& field) {
        fill(method.*field.member);
    }
    template <class M>
    void fill(M& method, const LongString<M>& field) {
        method.*field.member = bytes(2000);
    }
    template <class M>
    void fill(M& method, const Secret<M>& field) {
        method.*field.member = bytes(2000);
    }

    template <class M>
    M method() {
        M method;
        std::apply([&](const auto&... field) { (fill(method, field), ...); }, M::fields);
        return method;
    }

  private:
    std::mt19937_64 engine_;
    std::deque<std::string> kept_;
};

}  // namespace trilby::protocol::test
