// SPDX-License-Identifier: Apache-2.0
#include "broker/shard/watermarks.hpp"

#include <array>
#include <charconv>
#include <string_view>

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace trilby::broker {

Watermarks::Watermarks(std::uint64_t memory, std::uint64_t disk, std::filesystem::path directory)
    : memory_(memory),
      disk_(disk),
      directory_(std::move(directory)),
      page_size_(static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))),
      statistics_(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC)) {}

Watermarks::~Watermarks() {
    if (statistics_ != -1) ::close(statistics_);
}

std::uint64_t Watermarks::resident() const {
    std::array<char, 128> buffer;
    const ssize_t size = ::pread(statistics_, buffer.data(), buffer.size(), 0);
    const std::string_view text(buffer.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
    const std::size_t second = text.find(' ');  // the first number is what is mapped
    if (second == text.npos) return 0;
    std::uint64_t pages = 0;
    std::from_chars(text.data() + second + 1, text.data() + text.size(), pages);
    return pages * page_size_;
}

std::uint64_t Watermarks::free_space() const {
    struct statvfs status {};
    if (::statvfs(directory_.c_str(), &status) != 0) return UINT64_MAX;
    return std::uint64_t{status.f_bavail} * status.f_frsize;
}

Watermarks::Room Watermarks::room() const {
    Room room{UINT64_MAX, UINT64_MAX};
    if (memory_ != 0) {
        const std::uint64_t taken = resident();
        room.memory = taken < memory_ ? memory_ - taken : 0;
    }
    if (disk_ != 0) {
        const std::uint64_t there = free_space();
        room.disk = there > disk_ ? there - disk_ : 0;
    }
    return room;
}

}  // namespace trilby::broker
