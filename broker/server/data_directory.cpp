// SPDX-License-Identifier: Apache-2.0
#include "broker/server/data_directory.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/server/private_file.hpp"

namespace trilby::broker {

namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, int error) {
    throw std::runtime_error(
        fmt::format("cannot use the data directory {}: {}; name another one with --data-dir", path.string(),
                    std::strerror(error)));
}

/// Whoever may write to it decides what the broker holds, and which files it writes to.
void require_own_folder(const std::filesystem::path& path) {
    struct stat found;
    if (::stat(path.c_str(), &found) != 0) refuse(path, errno);
    if (found.st_uid != ::geteuid())
        throw std::runtime_error(fmt::format(
            "the data directory {} belongs to the user with id {}, and the broker runs as {}; run it as that "
            "user, or name another directory with --data-dir",
            path.string(), found.st_uid, ::geteuid()));
    if (writable_by_others(found.st_mode))
        throw std::runtime_error(
            fmt::format("others may write to the data directory {} (mode {:04o}); take that right away "
                        "(chmod go-w), or name "
                        "a folder inside of it with --data-dir, which is made for the broker alone",
                        path.string(), found.st_mode & 07777));
}

/// What may have been put there while others could write, or was copied there with other rights.
void require_own_file(const std::filesystem::path& path) {
    struct stat found;
    if (::lstat(path.c_str(), &found) != 0) {
        if (errno == ENOENT) return;
        refuse(path, errno);
    }
    const char* const wrong = S_ISLNK(found.st_mode)              ? "is a symbolic link"
                              : !S_ISREG(found.st_mode)           ? "is not a file"
                              : found.st_nlink != 1               ? "has another name elsewhere (a hard link)"
                              : found.st_uid != ::geteuid()       ? "belongs to another user"
                              : writable_by_others(found.st_mode) ? "may be written by others"
                                                                  : nullptr;
    if (wrong != nullptr)
        throw std::runtime_error(
            fmt::format("{} {}; the broker does not touch it: look at what it is, then remove or mend it",
                        path.string(), wrong));
}

}  // namespace

DataDirectory::DataDirectory(std::filesystem::path path) : path_(std::move(path)) {
    std::error_code error;
    const bool created = std::filesystem::create_directories(path_, error);
    if (error) refuse(path_, error.value());
    if (created) std::filesystem::permissions(path_, std::filesystem::perms::owner_all, error);
    if (error) refuse(path_, error.value());
    require_own_folder(path_);

    const std::filesystem::path file = path_ / "trilby.pid";
    for (const auto& one : {file, catalog()}) require_own_file(one);
    if (std::filesystem::exists(journal(), error)) require_own_folder(journal());

    lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
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

void DataDirectory::sync() const {
    const int directory = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int error = directory < 0 || ::fsync(directory) != 0 ? errno : 0;
    if (directory >= 0) ::close(directory);
    if (error != 0) throw std::system_error(error, std::system_category(), "syncing " + path_.string());
}

DataDirectory::~DataDirectory() {
    ::close(lock_);
}

}  // namespace trilby::broker
