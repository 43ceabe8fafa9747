// SPDX-License-Identifier: Apache-2.0
#include "broker/server/private_file.hpp"

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace trilby::broker {

namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, std::string_view reason) {
    throw std::runtime_error(fmt::format("cannot write {}: {}", path.string(), reason));
}

class Descriptor {
  public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return fd_; }

  private:
    const int fd_;
};

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        content.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

void write_as_it_is(const std::filesystem::path& path, std::string_view content) {
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.get() < 0 || !write_all(file.get(), content)) refuse(path, std::strerror(errno));
}

}  // namespace

void write_private_file(const std::filesystem::path& path, std::string_view content) {
    struct stat found;
    if (::lstat(path.c_str(), &found) == 0) {
        if (S_ISLNK(found.st_mode)) refuse(path, "it is a symbolic link; name what it leads to");
        if (S_ISDIR(found.st_mode)) refuse(path, std::strerror(EISDIR));
        if (!S_ISREG(found.st_mode)) return write_as_it_is(path, content);
    }
    std::string temporary = path.string() + ".XXXXXX";
    const Descriptor file(::mkostemp(temporary.data(), O_CLOEXEC));  // 0600
    if (file.get() < 0) refuse(path, std::strerror(errno));
    if (write_all(file.get(), content) && ::fsync(file.get()) == 0 &&
        ::rename(temporary.c_str(), path.c_str()) == 0)
        return;
    const int error = errno;
    ::unlink(temporary.c_str());
    refuse(path, std::strerror(error));
}

bool writable_by_others(mode_t mode) {
    return (mode & (S_IWGRP | S_IWOTH)) != 0;
}

bool writable_by_others(const std::filesystem::path& path) {
    struct stat found;
    return ::stat(path.c_str(), &found) == 0 && writable_by_others(found.st_mode);
}

}  // namespace trilby::broker
