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
    std::uint64_t segment = 0;
    std::from_chars(name.data(), name.data() + name.size(), segment);
    return segment <= most_segments && segment_name(segment) == name ? segment : 0;
}

}  // namespace trilby::broker::journal
