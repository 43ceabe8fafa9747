// SPDX-License-Identifier: Apache-2.0
#include "bench/routing_tool/counting_new.hpp"

#include <cstddef>
#include <cstdlib>
#include <new>

#include <malloc.h>

namespace {

trilby::bench::HeapUse use;  // one thread

void* counted(void* memory) {
    if (!memory) throw std::bad_alloc();
    ++use.allocations;
    use.live_bytes += static_cast<std::int64_t>(malloc_usable_size(memory));
    return memory;
}

void given_back(void* memory) {
    if (memory) use.live_bytes -= static_cast<std::int64_t>(malloc_usable_size(memory));
    std::free(memory);
}

std::size_t rounded_up(std::size_t size, std::size_t alignment) {
    return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

trilby::bench::HeapUse trilby::bench::heap_use() {
    return use;
}

void* operator new(std::size_t size) {
    return counted(std::malloc(size));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    const auto boundary = static_cast<std::size_t>(alignment);
    return counted(std::aligned_alloc(boundary, rounded_up(size, boundary)));
}
void operator delete(void* memory) noexcept {
    given_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    given_back(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    given_back(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    given_back(memory);
}
