// SPDX-License-Identifier: Apache-2.0
#include "json/number.hpp"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "protocol/byte_order.hpp"

namespace trilby::json {
namespace {

using protocol::ValueView;
using simdjson::dom::element;

template <class T>
std::string stored(T number) {
    std::string octets(sizeof number, '\0');
    protocol::store_big_endian(octets.data(), static_cast<std::make_unsigned_t<T>>(number));
    return octets;
}

/// What there is of numbers with a point: their bits, and how those are to be read.
template <class Number>
struct Real {
    using Bits = std::conditional_t<sizeof(Number) == 4, std::uint32_t, std::uint64_t>;
    static constexpr Bits nan = std::bit_cast<Bits>(std::numeric_limits<Number>::quiet_NaN());

    static std::string text(Bits bits) {
        const auto number = std::bit_cast<Number>(bits);
        if (std::isnan(number)) return bits == nan ? "\"NaN\"" : fmt::format("\"NaN:{:x}\"", bits);
        if (std::isinf(number)) return number < 0 ? "\"-Infinity\"" : "\"Infinity\"";
        // The shortest text that reads back as the same double, and as a float: JSON has no shorter ones.
        auto text = fmt::format("{}", static_cast<double>(number));
        if (text.find_first_of(".e") == text.npos) text += ".0";
        return text;
    }

    static std::optional<Bits> bits(element value) {
        if (double number = 0; value.get_double().get(number) == simdjson::SUCCESS) {
            const auto nearest = static_cast<Number>(number);
            if (std::isinf(nearest)) return std::nullopt;
            return std::bit_cast<Bits>(nearest);
        }
        std::string_view text;
        if (value.get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
        constexpr auto infinity = std::numeric_limits<Number>::infinity();
        if (text == "NaN") return nan;
        if (text == "Infinity") return std::bit_cast<Bits>(infinity);
        if (text == "-Infinity") return std::bit_cast<Bits>(-infinity);
        constexpr std::string_view before = "NaN:";
        Bits bits{};
        const char* const end = text.data() + text.size();
        if (!text.starts_with(before)) return std::nullopt;
        const auto read = std::from_chars(text.data() + before.size(), end, bits, 16);
        if (read.ec != std::errc{} || read.ptr != end || !std::isnan(std::bit_cast<Number>(bits)))
            return std::nullopt;
        return bits;
    }
};

template <class Number>
std::string read_real(std::string& octets, element value) {
    const auto bits = Real<Number>::bits(value);
    if (!bits) return "must be a number of its type, or \"NaN\", \"Infinity\" or \"-Infinity\"";
    octets = stored(*bits);
    return {};
}

template <class Integer>
std::string read_integer(std::string& octets, element value) {
    using Limits = std::numeric_limits<Integer>;
    using Widest = std::conditional_t<std::is_signed_v<Integer>, std::int64_t, std::uint64_t>;
    Widest number = 0;
    if (value.get<Widest>().get(number) != simdjson::SUCCESS || !std::in_range<Integer>(number)) {
        return fmt::format("must be a whole number from {} to {}", Limits::min(), Limits::max());
    }
    octets = stored(static_cast<Integer>(number));
    return {};
}

/// A decimal is a whole number and how many of its digits stand after the point: 0 to 255.
std::string decimal_text(const ValueView& value) {
    const auto scale = static_cast<unsigned char>(value.bytes[0]);
    auto digits = fmt::format("{}", protocol::load_big_endian<std::uint32_t>(value.bytes.data() + 1));
    if (scale == 0) return digits;
    if (digits.size() <= scale) digits.insert(0, scale + 1 - digits.size(), '0');
    return digits.insert(digits.size() - scale, 1, '.');
}

std::optional<std::string> decimal_octets(std::string_view text) {
    const auto point = text.find('.');
    const auto whole = text.substr(0, point);
    const auto fraction = point == text.npos ? std::string_view{} : text.substr(point + 1);
    if (whole.empty() || (point != text.npos && fraction.empty()) || fraction.size() > 255)
        return std::nullopt;
    const auto digits = std::string{whole}.append(fraction);
    if (digits.find_first_not_of("0123456789") != digits.npos) return std::nullopt;
    std::uint32_t number = 0;
    if (std::from_chars(digits.data(), digits.data() + digits.size(), number).ec != std::errc{})
        return std::nullopt;
    return std::string(1, static_cast<char>(fraction.size())) + stored(number);
}

std::string read_decimal(std::string& octets, element value) {
    std::string_view text;
    if (value.get_string().get(text) == simdjson::SUCCESS) {
        if (auto read = decimal_octets(text)) {
            octets = *std::move(read);
            return {};
        }
    }
    return "must be a string such as \"12.50\", with at most 4294967295 as its digits, for its type is "
           "decimal";
}

}  // namespace

void append_number(std::string& out, const ValueView& value) {
    if (const auto integer = value.as_integer())
        out += fmt::format("{}", *integer);
    else if (const auto seconds = value.as_timestamp())
        out += fmt::format("{}", *seconds);
    else if (value.type == 'f')
        out += Real<float>::text(protocol::load_big_endian<std::uint32_t>(value.bytes.data()));
    else if (value.type == 'd')
        out += Real<double>::text(protocol::load_big_endian<std::uint64_t>(value.bytes.data()));
    else if (value.type == 'D')
        out += '"' + decimal_text(value) + '"';
    else
        out += fmt::format("{}", static_cast<unsigned char>(value.bytes[0]));
}

std::string read_number(std::string& octets, char type, element value) {
    switch (type) {
        case 'b': return read_integer<std::int8_t>(octets, value);
        case 'B': return read_integer<std::uint8_t>(octets, value);
        case 's': return read_integer<std::int16_t>(octets, value);
        case 'u': return read_integer<std::uint16_t>(octets, value);
        case 'I': return read_integer<std::int32_t>(octets, value);
        case 'i': return read_integer<std::uint32_t>(octets, value);
        case 'T': return read_integer<std::uint64_t>(octets, value);
        case 'f': return read_real<float>(octets, value);
        case 'd': return read_real<double>(octets, value);
        case 'D': return read_decimal(octets, value);
        default: return read_integer<std::int64_t>(octets, value);
    }
}

}  // namespace trilby::json
