// SPDX-License-Identifier: Apache-2.0
#include "broker/storage/spill.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "broker/journal/records.hpp"
#include "protocol/quoted.hpp"

namespace trilby::broker {

namespace {

/// Space is taken and given back in steps of so many blocks.
constexpr std::uint64_t step = 64;
/// Octets on their way to the disk; beyond, messages stay in memory. Publishers are stopped long before.
constexpr std::size_t most_writing = std::size_t{64} << 20;
constexpr std::uint32_t refusals_when_full = 4096;

}  // namespace

Spill::Spill(std::filesystem::path directory, BackgroundIo& io, ShardIndex shard,
             std::atomic<std::uint32_t>& completed, BlockCache& cache)
    : directory_(std::move(directory)), io_(io), shard_(shard), completed_(completed), cache_(cache) {}

Spill::~Spill() {
    if (file_ != -1) ::close(file_);
}

bool Spill::open() {
    if (file_ != -1) return true;
    file_ = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file_ != -1) return true;
    // A file system without O_TMPFILE.
    std::string name = (directory_ / "spill-XXXXXX").string();
    file_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (file_ != -1 && ::unlink(name.c_str()) == 0) return true;
    const int error = errno;
    if (file_ != -1) ::close(std::exchange(file_, -1));
    refusals_left_ = refusals_when_full;
    if (!std::exchange(complained_, true))
        spdlog::error("waiting messages stay in memory, {} takes no file for them: {}",
                      protocol::printable(directory_.string()), std::generic_category().message(error));
    return false;
}

std::optional<Spilled> Spill::add(const Publication& publication) {
    if (failed_) return std::nullopt;
    if (refusals_left_ != 0) {
        --refusals_left_;
        return std::nullopt;
    }
    const std::size_t size = journal::publish_size(0, publication.names.size() + publication.tail.size());
    if (size > block_size) {
        const std::size_t blocks = (size + block_size - 1) / block_size;
        const std::size_t room = blocks * block_size;
        if (writing_octets_ != 0 && writing_octets_ + room > most_writing) return std::nullopt;
        const auto block = allocate(static_cast<std::uint32_t>(blocks));
        if (!block) return std::nullopt;
        auto octets = std::make_unique_for_overwrite<char[]>(room);
        journal::write_publish(octets.get(), *block << offset_bits, 0, {}, publication);
        ++extents_[*block].living;
        ++messages_;
        write(*block, std::move(octets), size, room);
        return Spilled{*block << offset_bits, removals_};
    }
    if (filling_octets_ != nullptr && filled_ + size > block_size) {
        if (extents_[filling_].living == 0) {
            filled_ = 0;
        } else if (writing_octets_ + block_size > most_writing) {
            return std::nullopt;
        } else {
            write(filling_, std::move(filling_octets_), filled_, block_size);
        }
    }
    if (filling_octets_ == nullptr) {
        const auto block = allocate(1);
        if (!block) return std::nullopt;
        filling_ = *block;
        filling_octets_ = std::make_unique_for_overwrite<char[]>(block_size);
        filled_ = 0;
    }
    const std::uint64_t place = filling_ << offset_bits | filled_ / 8;
    journal::write_publish(filling_octets_.get() + filled_, place, 0, {}, publication);
    filled_ += size;
    ++extents_[filling_].living;
    ++messages_;
    return Spilled{place, removals_};
}

bool Spill::add_again(const Spilled& spilled) {
    if (spilled.place == Spilled::nowhere || spilled.removals != removals_) return false;
    Extent& extent = extents_[block_of(spilled.place)];
    if (extent.living == UINT32_MAX) return false;
    ++extent.living;
    ++messages_;
    return true;
}

void Spill::remove(std::uint64_t place) {
    const std::uint64_t block = block_of(place);
    ++removals_;
    if (--messages_ == 0 && filling_octets_ != nullptr) {
        // The last one: no block keeps the file long.
        filling_octets_.reset();
        if (block != filling_) free(filling_);
    }
    if (--extents_[block].living != 0 || (filling_octets_ != nullptr && block == filling_)) return;
    const bool being_written =
        std::any_of(writing_.begin(), writing_.end(), [&](const auto& one) { return one->block == block; });
    if (!being_written) free(block);
}

const char* Spill::in_memory(std::uint64_t place) const {
    const std::uint64_t block = block_of(place);
    if (filling_octets_ != nullptr && block == filling_) return filling_octets_.get() + offset_of(place);
    for (const auto& one : writing_)
        if (one->block == block) return one->octets.get() + offset_of(place);
    return nullptr;
}

void Spill::write(std::uint64_t block, std::unique_ptr<char[]> octets, std::size_t filled, std::size_t size) {
    std::memset(octets.get() + filled, 0, size - filled);
    auto writing = std::make_unique<Writing>();
    writing->block = block;
    writing->octets = std::move(octets);
    BackgroundIo::Request& request = writing->request;
    request.file = file_;
    request.offset = block * block_size;
    request.size = size;
    request.octets = writing->octets.get();
    request.shard = shard_;
    request.completed = &completed_;
    writing_octets_ += size;
    writing_.push_back(std::move(writing));
    io_.submit(request);
}

void Spill::collect() {
    std::erase_if(writing_, [&](const auto& one) {
        if (!one->request.done.load(std::memory_order_acquire)) return false;
        if (one->request.error != 0) {
            // What is in memory stays there; nothing more is spilled.
            if (!std::exchange(failed_, true))
                spdlog::error("waiting messages stay in memory, writing them below {} failed: {}",
                              directory_.string(), std::generic_category().message(one->request.error));
            return false;
        }
        writing_octets_ -= one->request.size;
        if (extents_[one->block].living == 0) free(one->block);
        return true;
    });
}

std::optional<std::uint64_t> Spill::allocate(std::uint32_t blocks) {
    if (!open()) return std::nullopt;
    const auto fit =
        std::find_if(free_.begin(), free_.end(), [&](const auto& one) { return one.second >= blocks; });
    if (fit != free_.end()) {
        const auto [block, there] = *fit;
        free_.erase(fit);
        if (there > blocks) free_.emplace(block + blocks, there - blocks);
        extents_[block].blocks = blocks;
        return block;
    }
    const std::uint64_t block = extents_.size();
    if (block + blocks > room_) {
        // Space first, so that a full disk is met here and not by a write.
        const std::uint64_t more = std::max<std::uint64_t>(step, block + blocks - room_);
        if (const int error = ::posix_fallocate(file_, static_cast<off_t>(room_ * block_size),
                                                static_cast<off_t>(more * block_size));
            error != 0) {
            refusals_left_ = refusals_when_full;
            return std::nullopt;
        }
        room_ += more;
    }
    extents_.resize(block + blocks);
    extents_[block].blocks = blocks;
    return block;
}

void Spill::free(std::uint64_t block) {
    std::uint64_t count = std::exchange(extents_[block].blocks, 0);
    cache_.drop(0, block);
    auto next = free_.lower_bound(block);
    if (next != free_.end() && next->first == block + count) {
        count += next->second;
        next = free_.erase(next);
    }
    if (next != free_.begin()) {
        if (const auto before = std::prev(next); before->first + before->second == block) {
            block = before->first;
            count += before->second;
            free_.erase(before);
        }
    }
    if (block + count == extents_.size()) {
        extents_.resize(block);
        // A file that has become much shorter gives its space back.
        if (room_ - block > 2 * step &&
            ::ftruncate(file_, static_cast<off_t>((block + step) * block_size)) == 0)
            room_ = block + step;
        return;
    }
    free_.emplace(block, count);
}

}  // namespace trilby::broker
