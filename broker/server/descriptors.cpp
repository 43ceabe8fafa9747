// SPDX-License-Identifier: Apache-2.0
#include "broker/server/descriptors.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <system_error>

#include <sys/resource.h>

namespace trilby::broker {

namespace {
constexpr std::size_t reserve = 32;
constexpr std::size_t reserve_of_shard = 8;
}  // namespace

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    return ::setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

std::size_t open_descriptors() {
    std::error_code error;
    const std::filesystem::directory_iterator files("/proc/self/fd", error);
    return error ? 0 : static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

std::size_t most_connections(std::size_t limit, std::size_t own, std::size_t shards) {
    const std::size_t left = limit - std::min(limit, own);
    // A limit that is tight for both is shared.
    return std::max<std::size_t>(left - std::min(reserve + reserve_of_shard * shards, left / 2), 1);
}

}  // namespace trilby::broker
