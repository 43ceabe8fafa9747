// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/format.hpp"

#include <charconv>
#include <cstdio>

namespace trilby::broker::journal {

std::string segment_name(std::uint64_t segment) {
    char name[32];
    std::snprintf(name, sizeof name, "%012llu.seg", static_cast<unsigned long long>(segment));
    return name;
}

std::uint64_t segment_of(std::string_view name) {
    if (!name.ends_with(".seg")) return 0;
    name.remove_suffix(4);
    std::uint64_t segment = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), segment);
    return error == std::errc{} && end == name.data() + name.size() ? segment : 0;
}

}  // namespace trilby::broker::journal
