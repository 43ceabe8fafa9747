// SPDX-License-Identifier: Apache-2.0
#include "broker/message/pool.hpp"

#include <new>

#include <sys/mman.h>

namespace trilby::broker {

namespace {

constexpr std::size_t slab_size = std::size_t{64} << 10;
constexpr std::size_t spare_slabs = 32;

// Under the address sanitizer every message is a block of its own, so that a use after its release is seen.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool use_slabs = false;
#else
constexpr bool use_slabs = true;
#endif

void* map_aligned() {
    // Twice the size, then the ends that stick out are unmapped: mmap aligns to pages only.
    char* raw = static_cast<char*>(
        ::mmap(nullptr, 2 * slab_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (raw == MAP_FAILED) throw std::bad_alloc();
    const auto address = reinterpret_cast<std::uintptr_t>(raw);
    char* aligned = raw + ((slab_size - address % slab_size) % slab_size);
    if (aligned != raw) ::munmap(raw, static_cast<std::size_t>(aligned - raw));
    char* end = raw + 2 * slab_size;
    if (aligned + slab_size != end)
        ::munmap(aligned + slab_size, static_cast<std::size_t>(end - aligned) - slab_size);
    return aligned;
}

}  // namespace

struct MessagePool::Slab {
    Block* free;          // freed blocks
    std::uint32_t fresh;  // offset of the first block never handed out; at the end: none left
    std::uint32_t live;   // blocks handed out
    Slab* previous;       // in the class's list of partial slabs
    Slab* next;
    std::uint32_t block_size;
    std::uint8_t size_class;
    bool listed;
};

MessagePool::MessagePool(std::uint8_t shard) : shard_(shard) {
    spare_.reserve(spare_slabs);  // freeing needs no memory
    for (std::size_t i = 0; i < classes; ++i)
        classes_[i].block_size = static_cast<std::uint32_t>(i < 16 ? 64 * (i + 1) : 1024 + 256 * (i - 15));
}

MessagePool::~MessagePool() {
    take_returned();
    for (Slab* slab : spare_) ::munmap(slab, slab_size);
    for (SizeClass& size_class : classes_)
        while (Slab* slab = size_class.partial) {
            size_class.partial = slab->next;
            ::munmap(slab, slab_size);
        }
}

void MessagePool::know(std::vector<MessagePool*> all) {
    pools_ = std::move(all);
    foreign_heads_.assign(pools_.size(), nullptr);
    foreign_tails_.assign(pools_.size(), nullptr);
}

std::uint8_t MessagePool::class_of(std::size_t size) {
    if (!use_slabs || size > 7168) return huge;
    if (size <= 1024) return static_cast<std::uint8_t>((size - 1) / 64);
    return static_cast<std::uint8_t>(16 + (size - 1025) / 256);
}

Message* MessagePool::allocate(std::size_t names_size, std::uint32_t header_frame_size,
                               std::uint32_t body_size) {
    const std::size_t size = sizeof(Message) + names_size + 1 + header_frame_size +
                             (body_size == 0 ? 0 : std::size_t{body_size} + 8);
    const std::uint8_t index = class_of(size);
    void* memory;
    if (index == huge) {
        memory = ::operator new(size);
    } else {
        SizeClass& size_class = classes_[index];
        Slab* slab = size_class.partial;
        if (slab == nullptr) slab = fresh_slab(index);
        if (Block* block = slab->free) {
            slab->free = block->next;
            memory = block;
        } else {
            memory = reinterpret_cast<char*>(slab) + slab->fresh;
            slab->fresh += slab->block_size;
        }
        ++slab->live;
        if (slab->free == nullptr && slab->fresh + slab->block_size > slab_size) {  // full: out of the list
            size_class.partial = slab->next;
            if (slab->next != nullptr) slab->next->previous = nullptr;
            slab->listed = false;
        }
    }
    ++balance_;
    auto* message = new (memory) Message;
    message->references.store(1, std::memory_order_relaxed);
    message->body_size = body_size;
    message->header_frame_size = header_frame_size;
    message->names_size = static_cast<std::uint16_t>(names_size);
    message->home = shard_;
    message->size_class = index;
    message->stored = 0;
    return message;
}

Message* MessagePool::copy(const Publication& publication) {
    Message* message =
        allocate(publication.names.size(), publication.header_frame_size, publication.body_size);
    char* to = message->bytes();
    std::memcpy(to, publication.names.data(), publication.names.size());
    std::memcpy(to + publication.names.size(), publication.tail.data(), publication.tail.size());
    return message;
}

void MessagePool::free(Message* message) {
    --balance_;
    if (message->size_class == huge) {
        ::operator delete(message);
        return;
    }
    if (message->home == shard_) {
        free_here(message);
        return;
    }
    const std::size_t home = message->home;
    auto* block = reinterpret_cast<Block*>(message);
    block->next = foreign_heads_[home];
    foreign_heads_[home] = block;
    if (foreign_tails_[home] == nullptr) foreign_tails_[home] = block;
    ++foreign_;
}

void MessagePool::free_here(Message* message) {
    auto* slab = reinterpret_cast<Slab*>(reinterpret_cast<std::uintptr_t>(message) & ~(slab_size - 1));
    auto* block = reinterpret_cast<Block*>(message);
    block->next = slab->free;
    slab->free = block;
    SizeClass& size_class = classes_[slab->size_class];
    if (!slab->listed) {
        slab->previous = nullptr;
        slab->next = size_class.partial;
        if (slab->next != nullptr) slab->next->previous = slab;
        size_class.partial = slab;
        slab->listed = true;
    }
    // The last slab of a class stays, so that one message to and fro does not map and unmap.
    if (--slab->live == 0 && (slab->next != nullptr || slab->previous != nullptr)) retire(slab);
}

MessagePool::Slab* MessagePool::fresh_slab(std::uint8_t index) {
    Slab* slab;
    if (!spare_.empty()) {
        slab = spare_.back();
        spare_.pop_back();
    } else {
        slab = static_cast<Slab*>(map_aligned());
        footprint_ += slab_size;
    }
    SizeClass& size_class = classes_[index];
    *slab = Slab{.free = nullptr,
                 .fresh = (sizeof(Slab) + 63) / 64 * 64,
                 .live = 0,
                 .previous = nullptr,
                 .next = nullptr,
                 .block_size = size_class.block_size,
                 .size_class = index,
                 .listed = true};
    size_class.partial = slab;
    return slab;
}

void MessagePool::retire(Slab* slab) {
    SizeClass& size_class = classes_[slab->size_class];
    if (slab->previous != nullptr) {
        slab->previous->next = slab->next;
    } else {
        size_class.partial = slab->next;
    }
    if (slab->next != nullptr) slab->next->previous = slab->previous;
    if (spare_.size() < spare_slabs) {
        spare_.push_back(slab);
        return;
    }
    ::munmap(slab, slab_size);
    footprint_ -= slab_size;
}

void MessagePool::give_back() {
    for (std::size_t home = 0; home < pools_.size(); ++home) {
        if (foreign_heads_[home] == nullptr) continue;
        std::atomic<Block*>& stack = pools_[home]->returned_;
        Block* expected = stack.load(std::memory_order_relaxed);
        do {
            foreign_tails_[home]->next = expected;
        } while (!stack.compare_exchange_weak(expected, foreign_heads_[home], std::memory_order_release,
                                              std::memory_order_relaxed));
        foreign_heads_[home] = foreign_tails_[home] = nullptr;
    }
    foreign_ = 0;
}

void MessagePool::take_returned() {
    Block* block = returned_.exchange(nullptr, std::memory_order_acquire);
    while (block != nullptr) {
        Block* next = block->next;
        free_here(reinterpret_cast<Message*>(block));
        block = next;
    }
}

}  // namespace trilby::broker
