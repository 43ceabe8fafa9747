// SPDX-License-Identifier: Apache-2.0
#include "broker/storage/block_cache.hpp"

namespace trilby::broker {

BlockCache::Block& BlockCache::get(std::uint64_t file, std::uint64_t index) {
    if (last_ < blocks_.size() && blocks_[last_].file == file && blocks_[last_].index == index)
        return blocks_[last_];
    if (const auto found = places_.find({file, index}); found != places_.end()) {
        last_ = found->second;
        blocks_[last_].used = true;
        return blocks_[last_];
    }
    if (blocks_.size() < most_) {
        last_ = blocks_.size();
        blocks_.emplace_back().octets = std::make_unique_for_overwrite<char[]>(block_size + overlap);
    } else {
        while (blocks_[hand_].used) {
            blocks_[hand_].used = false;
            hand_ = (hand_ + 1) % most_;
        }
        last_ = hand_;
        hand_ = (hand_ + 1) % most_;
        places_.erase({blocks_[last_].file, blocks_[last_].index});
    }
    Block& block = blocks_[last_];
    block.file = file;
    block.index = index;
    block.valid = 0;
    block.used = true;
    places_.emplace(Key{file, index}, last_);
    return block;
}

void BlockCache::drop(std::uint64_t file, std::uint64_t index) {
    if (const auto found = places_.find({file, index}); found != places_.end())
        blocks_[found->second].valid = 0;
}

}  // namespace trilby::broker
