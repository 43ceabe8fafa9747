// SPDX-License-Identifier: Apache-2.0

// A disk that fails, for a running broker: preloaded, it stands between the broker and the system, counts
// calls for some files, and makes one of them fail.
//
//   TRILBY_FAULT_FILES    how the names of these files and directories begin, as /proc knows them
//   TRILBY_FAULT_COUNTS   a file of 16 counters of 64 bits: calls by kind, and at last how many were struck
//   TRILBY_FAULT          "KIND:N:WHAT": the N-th call of the kind fails with that error, or is "short"
//   TRILBY_FAULT_WHILE    a file that names an error: while it is there all calls from the N-th on fail so
//
// It is a bad disk. A write that fails leaves half of its octets. A sync that fails loses what was written
// since the one before, and the next sync knows nothing of it.

#undef _FILE_OFFSET_BITS  // both names of every call are defined here

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

// In the order of the counters. Zeros that make a new file ready, and their syncs, count by themselves.
enum Kind : std::size_t {
    create,
    open_file,
    allocate,
    fill,
    write_some,
    fill_sync,
    data_sync,
    sync_directory,
    rename_file,
    unlink_file,
    read_some,
    read_back,     // of a waiting message
    write_one,     // by SQLite, and of what is spilled
    open_unnamed,  // a file to spill to
    kinds
};
constexpr std::array<const char*, kinds> names{
    "create",         "open",   "allocate", "fill", "write",     "fill-sync", "sync",
    "sync-directory", "rename", "unlink",   "read", "read-back", "write-one", "open-unnamed"};
constexpr std::size_t struck = 15;
constexpr int is_short = -1;

template <class F>
F* real(const char* name) {
    return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}
using Write = ssize_t(int, const iovec*, int, off_t);
using WriteOne = ssize_t(int, const void*, std::size_t, off_t);
using Read = ssize_t(int, void*, std::size_t, off_t);
using ReadBack = ssize_t(int, const iovec*, int, off_t, int);
using Allocate = int(int, off_t, off_t);
using Sync = int(int);
using Open = int(const char*, int, mode_t);
using OpenAt = int(int, const char*, int, mode_t);
using Rename = int(int, const char*, int, const char*);
using Unlink = int(int, const char*, int);

int error_of(const std::string& name) {
    if (name == "short") return is_short;
    for (const int error : {EIO, ENOSPC, EINTR, EMFILE, EROFS, EDQUOT, EAGAIN, ENOMEM, EOPNOTSUPP})
        if (name == ::strerrorname_np(error)) return error;
    std::abort();
}

struct Fault {
    std::string files;
    std::string lasts_while;
    std::size_t kind = kinds;
    std::uint64_t number = 0;
    int error = 0;
    std::atomic<std::uint64_t>* counts = nullptr;

    Fault() {
        const auto variable = [](const char* name) {
            const char* value = std::getenv(name);
            return std::string(value == nullptr ? "" : value);
        };
        files = variable("TRILBY_FAULT_FILES");
        lasts_while = variable("TRILBY_FAULT_WHILE");
        const int file = real<Open>("open")(variable("TRILBY_FAULT_COUNTS").c_str(), O_RDWR | O_CLOEXEC, 0);
        void* const map =
            file < 0 ? MAP_FAILED : ::mmap(nullptr, 128, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (map == MAP_FAILED) std::abort();
        ::close(file);
        counts = static_cast<std::atomic<std::uint64_t>*>(map);
        const std::string fault = variable("TRILBY_FAULT");
        if (fault.empty()) return;
        const std::size_t colon = fault.find(':');
        const std::size_t second = fault.find(':', colon + 1);
        for (kind = 0; kind != kinds && fault.compare(0, colon, names[kind]) != 0;) ++kind;
        if (kind == kinds) std::abort();
        number = std::stoull(fault.substr(colon + 1));
        if (lasts_while.empty()) error = error_of(fault.substr(second + 1));
    }

    bool is_for(int file) const {
        std::array<char, 4096> path;
        const std::string link = "/proc/self/fd/" + std::to_string(file);
        const ssize_t size = ::readlink(link.c_str(), path.data(), path.size());
        return std::string_view(path.data(), size < 0 ? 0 : static_cast<std::size_t>(size))
            .starts_with(files);
    }

    /// What the names of the files begin with, up to the last "/".
    std::string_view directory() const { return std::string_view(files).substr(0, files.rfind('/')); }

    /// Counts a call. 0: let it go on; else the error, or is_short.
    int next(Kind one) {
        const std::uint64_t now = ++counts[one];
        if (one != kind || now < number) return 0;
        int what = error;
        if (!lasts_while.empty()) {
            std::ifstream file(lasts_while);
            std::string name;
            if (!(file >> name)) return 0;
            what = error_of(name);
        } else if (now > number) {
            return 0;
        }
        ++counts[struck];
        return what;
    }
};

Fault& fault() {
    static Fault one;
    return one;
}

/// What was written to a file and not synced, and whether it is still being filled.
struct Unsynced {
    struct Part {
        int file;
        off_t offset;
        std::size_t size;
    };
    std::mutex mutex;
    std::vector<Part> parts;
    std::vector<int> filling;

    void wrote(int file, off_t offset, std::size_t size, bool zeros) {
        const std::lock_guard lock(mutex);
        parts.push_back({file, offset, size});
        std::erase(filling, file);
        if (zeros) filling.push_back(file);
    }
    bool is_filling(int file) {
        const std::lock_guard lock(mutex);
        return std::find(filling.begin(), filling.end(), file) != filling.end();
    }
    void synced(int file, bool lost) {
        const std::lock_guard lock(mutex);
        std::erase_if(parts, [&](const Part& part) {
            if (part.file != file) return false;
            std::vector<char> zeros(lost ? part.size : 0);
            iovec piece{zeros.data(), zeros.size()};
            if (lost) real<Write>("pwritev")(file, &piece, 1, part.offset);
            return true;
        });
    }
};

Unsynced& unsynced() {
    static Unsynced one;
    return one;
}

int refuse(int error) {
    errno = error;
    return -1;
}

/// Of a read or write that is short, or fails half way.
std::size_t half(std::size_t size) {
    return size < 2 ? size : size / 2;
}

}  // namespace

extern "C" {

ssize_t pwritev(int file, const iovec* pieces, int count, off_t offset) {
    std::size_t size = 0;
    for (int i = 0; i < count; ++i) size += pieces[i].iov_len;
    if (size == 0 || !fault().is_for(file)) return real<Write>("pwritev")(file, pieces, count, offset);
    const bool zeros =
        *static_cast<const char*>(pieces[0].iov_base) == 0;  // everything else begins with a magic
    const int error = fault().next(zeros ? fill : write_some);
    std::vector<iovec> some(pieces, pieces + count);
    if (error != 0 && error != EINTR) {
        std::size_t left = half(size);
        for (iovec& piece : some) left -= piece.iov_len = std::min(piece.iov_len, left);
    }
    if (error == EINTR) return refuse(error);
    const ssize_t written = real<Write>("pwritev")(file, some.data(), count, offset);
    if (written > 0) unsynced().wrote(file, offset, static_cast<std::size_t>(written), zeros);
    return error > 0 ? refuse(error) : written;
}
ssize_t pwritev64(int file, const iovec* pieces, int count, off64_t offset) {
    return pwritev(file, pieces, count, offset);
}

ssize_t pread(int file, void* into, std::size_t size, off_t offset) {
    const int error = fault().is_for(file) ? fault().next(read_some) : 0;
    if (error > 0) return refuse(error);
    return real<Read>("pread")(file, into, error == is_short ? half(size) : size, offset);
}
ssize_t pread64(int file, void* into, std::size_t size, off64_t offset) {
    return pread(file, into, size, offset);
}

ssize_t preadv2(int file, const iovec* pieces, int count, off_t offset, int flags) {
    const int error = fault().is_for(file) ? fault().next(read_back) : 0;
    if (error > 0) return refuse(error);
    iovec first = pieces[0];
    if (error == is_short) first.iov_len = half(first.iov_len);
    return real<ReadBack>("preadv2")(file, error == is_short ? &first : pieces, error == is_short ? 1 : count,
                                     offset, flags);
}
ssize_t preadv64v2(int file, const iovec* pieces, int count, off64_t offset, int flags) {
    return preadv2(file, pieces, count, offset, flags);
}

ssize_t pwrite(int file, const void* octets, std::size_t size, off_t offset) {
    if (!fault().is_for(file)) return real<WriteOne>("pwrite")(file, octets, size, offset);
    const int error = fault().next(write_one);
    if (error == EINTR) return refuse(error);
    const ssize_t written = real<WriteOne>("pwrite")(file, octets, error == 0 ? size : half(size), offset);
    if (written > 0) unsynced().wrote(file, offset, static_cast<std::size_t>(written), false);
    return error > 0 ? refuse(error) : written;
}
ssize_t pwrite64(int file, const void* octets, std::size_t size, off64_t offset) {
    return pwrite(file, octets, size, offset);
}

int posix_fallocate(int file, off_t offset, off_t size) {
    if (const int error = fault().is_for(file) ? fault().next(allocate) : 0; error != 0) return error;
    return real<Allocate>("posix_fallocate")(file, offset, size);
}
int posix_fallocate64(int file, off64_t offset, off64_t size) {
    return posix_fallocate(file, offset, size);
}

int fdatasync(int file) {
    if (!fault().is_for(file)) return real<Sync>("fdatasync")(file);
    const int error = fault().next(unsynced().is_filling(file) ? fill_sync : data_sync);
    unsynced().synced(file, error != 0);
    return error != 0 ? refuse(error) : real<Sync>("fdatasync")(file);
}

int fsync(int file) {
    if (!fault().is_for(file)) return real<Sync>("fsync")(file);
    if (const int error = fault().next(sync_directory); error != 0) return refuse(error);
    return real<Sync>("fsync")(file);
}

int open(const char* name, int flags, ...) {
    mode_t mode = 0;
    const bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;  // which is more than one bit
    if (unnamed || (flags & O_CREAT) != 0) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    if (unnamed && std::string_view(name).starts_with(fault().directory()))
        if (const int error = fault().next(open_unnamed); error != 0) return refuse(error);
    return real<Open>("open")(name, flags, mode);
}
int open64(const char* name, int flags, ...) __attribute__((alias("open")));

int openat(int directory, const char* name, int flags, ...) {
    mode_t mode = 0;
    if ((flags & O_CREAT) != 0) {
        va_list rest;
        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        va_end(rest);
    }
    if (directory >= 0 && fault().is_for(directory))
        if (const int error = fault().next((flags & O_CREAT) != 0 ? create : open_file); error != 0)
            return refuse(error);
    return real<OpenAt>("openat")(directory, name, flags, mode);
}
int openat64(int directory, const char* name, int flags, ...) __attribute__((alias("openat")));

int renameat(int from, const char* old_name, int to, const char* new_name) {
    if (const int error = fault().is_for(from) ? fault().next(rename_file) : 0; error != 0)
        return refuse(error);
    return real<Rename>("renameat")(from, old_name, to, new_name);
}

int unlinkat(int directory, const char* name, int flags) {
    if (const int error = directory >= 0 && fault().is_for(directory) ? fault().next(unlink_file) : 0;
        error != 0)
        return refuse(error);
    return real<Unlink>("unlinkat")(directory, name, flags);
}
}
