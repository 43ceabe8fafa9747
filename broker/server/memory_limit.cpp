// SPDX-License-Identifier: Apache-2.0
#include "broker/server/memory_limit.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

#include <unistd.h>

namespace trilby::broker {
namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

std::uint64_t machine_memory(const std::filesystem::path& root) {
    std::ifstream file{root / "proc/meminfo"};
    std::string key, unit;
    std::uint64_t kibibytes = 0;
    while (file >> key >> kibibytes) {
        std::getline(file, unit);
        if (key == "MemTotal:") return kibibytes << 10;
    }
    return unlimited;
}

/// The number in a file; "max", anything else and no file at all: unlimited.
std::uint64_t limit_in(const std::filesystem::path& path) {
    std::ifstream file{path};
    std::string word;
    file >> word;
    std::uint64_t bytes = 0;
    const auto read = std::from_chars(word.data(), word.data() + word.size(), bytes);
    return read.ec == std::errc{} && bytes > 0 ? bytes : unlimited;
}

/// The least limit of a group and all above it. In a container the group's path may not exist below the
/// mount, or be the mount itself: then only what does exist counts.
std::uint64_t group_limit(const std::filesystem::path& mount, std::string_view group, std::string_view file) {
    std::uint64_t least = limit_in(mount / file);
    auto path = mount;
    for (const auto& part : std::filesystem::path{group}.relative_path()) {
        path /= part;
        least = std::min(least, limit_in(path / file));
    }
    return least;
}

bool lists_memory(std::string_view controllers) {
    for (std::size_t at = 0; at <= controllers.size();) {
        const auto comma = std::min(controllers.find(',', at), controllers.size());
        if (controllers.substr(at, comma - at) == "memory") return true;
        at = comma + 1;
    }
    return false;
}

}  // namespace

std::uint64_t memory_limit(const std::filesystem::path& root) {
    std::uint64_t least = machine_memory(root);
    const auto groups = root / "sys/fs/cgroup";
    std::ifstream file{root / "proc/self/cgroup"};
    for (std::string line;
         std::getline(file, line);) {  // hierarchy:controllers:path; version 2 names no controllers
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == line.npos || second == line.npos) continue;
        const auto controllers = std::string_view{line}.substr(first + 1, second - first - 1);
        const auto group = std::string_view{line}.substr(second + 1);
        if (controllers.empty()) {
            least = std::min(least, group_limit(groups, group, "memory.max"));
        } else if (lists_memory(controllers)) {
            least = std::min(least, group_limit(groups / "memory", group, "memory.limit_in_bytes"));
        }
    }
    return least == unlimited ? 0 : least;
}

std::uint64_t resident_memory() {
    std::ifstream statm("/proc/self/statm");
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    statm >> total >> resident;
    return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace trilby::broker
