// SPDX-License-Identifier: Apache-2.0
#include "broker/server/quantities.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <span>

#include <fmt/format.h>

namespace trilby::broker {
namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr std::array byte_units{Unit{"", 1},
                                Unit{"B", 1},
                                Unit{"KiB", 1ull << 10},
                                Unit{"MiB", 1ull << 20},
                                Unit{"GiB", 1ull << 30},
                                Unit{"TiB", 1ull << 40},
                                Unit{"kB", 1'000},
                                Unit{"KB", 1'000},
                                Unit{"MB", 1'000'000},
                                Unit{"GB", 1'000'000'000},
                                Unit{"TB", 1'000'000'000'000}};

constexpr std::array duration_units{
    Unit{"us", 1},           Unit{"ms", 1'000},        Unit{"s", 1'000'000},
    Unit{"min", 60'000'000}, Unit{"h", 3'600'000'000}, Unit{"d", 86'400'000'000}};

/// None: no whole number with one of the units, or more than `largest`.
std::optional<std::uint64_t> quantity(std::string_view text, std::span<const Unit> units,
                                      std::uint64_t largest) {
    std::uint64_t count = 0;
    const char* const end = text.data() + text.size();
    const auto number = std::from_chars(text.data(), end, count);
    if (number.ec != std::errc{}) return std::nullopt;
    const std::string_view name{number.ptr, static_cast<std::size_t>(end - number.ptr)};
    const auto unit = std::ranges::find(units, name, &Unit::name);
    if (unit == units.end() || count > largest / unit->factor) return std::nullopt;
    return count * unit->factor;
}

}  // namespace

std::expected<std::uint64_t, std::string> parse_byte_size(std::string_view text) {
    if (const auto bytes = quantity(text, byte_units, std::numeric_limits<std::int64_t>::max()))
        return *bytes;
    return std::unexpected(fmt::format(
        R"("{}" is not a size: write a whole number with KiB, MiB, GiB, TiB, kB, MB, GB or TB, such as "512MiB")",
        text));
}

std::expected<std::chrono::microseconds, std::string> parse_duration(std::string_view text) {
    if (text == "0") return std::chrono::microseconds{0};
    if (const auto us = quantity(text, duration_units, std::numeric_limits<std::int64_t>::max())) {
        return std::chrono::microseconds{*us};
    }
    return std::unexpected(fmt::format(
        R"("{}" is not a duration: write a whole number with us, ms, s, min, h or d, such as "30min")",
        text));
}

namespace {

std::string largest_whole(std::uint64_t count, std::span<const Unit> units) {
    const Unit* largest = &units.front();
    for (const Unit& unit : units)
        if (count != 0 && count % unit.factor == 0 && unit.factor > largest->factor) largest = &unit;
    return fmt::format("{}{}", count / largest->factor, largest->name);
}

}  // namespace

std::string byte_size_text(std::uint64_t bytes) {
    return largest_whole(bytes, byte_units);
}

std::string duration_text(std::chrono::microseconds duration) {
    if (duration.count() == 0) return "0s";
    return largest_whole(static_cast<std::uint64_t>(duration.count()), std::span{duration_units}.first<3>());
}

}  // namespace trilby::broker
