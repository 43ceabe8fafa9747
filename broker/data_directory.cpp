// SPDX-License-Identifier: Apache-2.0
#include "broker/data_directory.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

namespace trilby::broker {

namespace {
[[noreturn]] void refuse(const std::filesystem::path& path, int error) {
    throw std::runtime_error(
        fmt::format("cannot use the data directory {}: {}; name another one with --data-dir", path.string(),
                    std::strerror(error)));
}
}  // namespace

DataDirectory::DataDirectory(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code error;
    const bool created = std::filesystem::create_directories(path_, error);
    if (error) refuse(path_, error.value());
    if (created) std::filesystem::permissions(path_, std::filesystem::perms::owner_all, error);
    if (error) refuse(path_, error.value());

    const std::filesystem::path file = path_ / "trilby.pid";
    lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) refuse(file, errno);
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        std::array<char, 32> pid{};
        const ssize_t size = ::pread(lock_, pid.data(), pid.size() - 1, 0);
        ::close(lock_);
        throw std::runtime_error(fmt::format(
            "the data directory {} is in use by the broker with process id {}; stop it, or name another one "
            "with --data-dir",
            path_.string(), size > 0 ? std::string(pid.data(), static_cast<std::size_t>(size)) : "unknown"));
    }
    const std::string pid = std::to_string(::getpid());
    if (::ftruncate(lock_, 0) != 0 ||
        ::pwrite(lock_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size()))
        refuse(file, errno);
}

DataDirectory::~DataDirectory() {
    ::close(lock_);
}

}  // namespace trilby::broker
