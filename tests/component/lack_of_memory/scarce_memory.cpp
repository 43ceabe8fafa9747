// SPDX-License-Identifier: Apache-2.0
#include "tests/component/lack_of_memory/scarce_memory.hpp"

#include <cerrno>
#include <cstdlib>
#include <new>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/component/harness/inside.hpp"

namespace trilby::scarce {

namespace {

std::uint64_t number = 0;
std::uint64_t first = 0, last = 0;
std::int64_t living = 0;

bool fails() {
    if (harness::inside == 0) return false;
    ++number;
    return number >= first && number <= last;
}

}  // namespace

void fail_at(std::uint64_t which, std::uint64_t together) {
    number = 0;
    first = which;
    last = which == 0 ? 0 : which + together - 1;
}

std::uint64_t counted() {
    return number;
}

bool has_failed() {
    return first != 0 && number >= first;
}

std::int64_t blocks() {
    return living;
}

}  // namespace trilby::scarce

namespace {

void* counted(void* memory) {
    if (memory == nullptr) throw std::bad_alloc();
    ++trilby::scarce::living;
    return memory;
}

void free_counted(void* memory) {
    if (memory != nullptr) --trilby::scarce::living;
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
    return counted(trilby::scarce::fails() ? nullptr : std::malloc(size == 0 ? 1 : size));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return counted(trilby::scarce::fails() ? nullptr
                                           : std::aligned_alloc(static_cast<std::size_t>(alignment), size));
}
void operator delete(void* memory) noexcept {
    free_counted(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    free_counted(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    free_counted(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    free_counted(memory);
}

extern "C" void* mmap(void* address, std::size_t size, int protection, int flags, int file,
                      off_t offset) noexcept {
    if (trilby::scarce::fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return reinterpret_cast<void*>(::syscall(SYS_mmap, address, size, protection, flags, file, offset));
}
