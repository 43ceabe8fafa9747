// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/files.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace trilby::broker::journal {

namespace {

/// Zeros are written and synced in steps, so that others who sync meanwhile do not wait for all of them.
constexpr std::uint64_t fill_step = 256 << 10;

[[noreturn]] void fail(const char* doing, const std::filesystem::path& path) {
    throw std::system_error(errno, std::system_category(), std::string(doing) + ' ' + path.string());
}

}  // namespace

DirectoryFiles::DirectoryFiles(std::filesystem::path directory) : directory_(std::move(directory)) {
    if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST) fail("making", directory_);
    handle_ = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (handle_ < 0) fail("opening", directory_);
}

DirectoryFiles::~DirectoryFiles() {
    ::close(handle_);
}

std::vector<std::string> DirectoryFiles::list() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
        names.push_back(entry.path().filename().string());
    return names;
}

Files::File DirectoryFiles::open(const std::string& name) {
    const int file = ::openat(handle_, name.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0) fail("opening", directory_ / name);
    return file;
}

Files::File DirectoryFiles::create(const std::string& name, std::uint64_t size) {
    const int file =
        ::openat(handle_, name.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) fail("making", directory_ / name);
    try {
        // Space first: a full disk is met here, before anything is promised.
        while (const int error = ::posix_fallocate(file, 0, static_cast<off_t>(size))) {
            if (error == EINTR) continue;
            errno = error;
            fail("making room for", directory_ / name);
        }
        // Space that was never written costs the file system a commit at the first write of each block.
        std::vector<char> zeros(fill_step);
        for (std::uint64_t at = 0; at < size; at += fill_step) {
            iovec part{zeros.data(), static_cast<std::size_t>(std::min(fill_step, size - at))};
            write(file, at, {&part, 1});
            sync(file);
        }
    } catch (...) {
        ::close(file);
        ::unlinkat(handle_, name.c_str(), 0);
        throw;
    }
    return file;
}

void DirectoryFiles::close(File file) {
    ::close(file);
}

std::uint64_t DirectoryFiles::size(File file) {
    struct stat status {};
    if (::fstat(file, &status) != 0) fail("asking for the size of a segment in", directory_);
    return static_cast<std::uint64_t>(status.st_size);
}

void DirectoryFiles::write(File file, std::uint64_t offset, std::span<iovec> pieces) {
    while (!pieces.empty()) {
        const auto some = static_cast<int>(std::min<std::size_t>(pieces.size(), IOV_MAX));
        const ssize_t written = ::pwritev(file, pieces.data(), some, static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail("writing in", directory_);
        offset += static_cast<std::uint64_t>(written);
        auto left = static_cast<std::size_t>(written);
        while (!pieces.empty() && left >= pieces.front().iov_len) {
            left -= pieces.front().iov_len;
            pieces = pieces.subspan(1);
        }
        if (left != 0) {
            pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + left;
            pieces.front().iov_len -= left;
        }
    }
}

std::size_t DirectoryFiles::read(File file, std::uint64_t offset, std::span<char> into) {
    std::size_t got = 0;
    while (got < into.size()) {
        const ssize_t size =
            ::pread(file, into.data() + got, into.size() - got, static_cast<off_t>(offset + got));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) fail("reading in", directory_);
        if (size == 0) break;
        got += static_cast<std::size_t>(size);
    }
    return got;
}

void DirectoryFiles::sync(File file) {
    if (::fdatasync(file) != 0) fail("syncing a segment in", directory_);
}

void DirectoryFiles::rename(const std::string& from, const std::string& to) {
    if (::renameat(handle_, from.c_str(), handle_, to.c_str()) != 0) fail("renaming", directory_ / from);
}

void DirectoryFiles::remove(const std::string& name) {
    if (::unlinkat(handle_, name.c_str(), 0) != 0) fail("removing", directory_ / name);
}

void DirectoryFiles::sync_directory() {
    if (::fsync(handle_) != 0) fail("syncing", directory_);
}

}  // namespace trilby::broker::journal
