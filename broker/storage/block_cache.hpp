// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace trilby::broker {

/// Blocks of files that a shard read lately: neighbours in a file are often wanted one after the other, by
/// one queue or by several. One shard's thread.
class BlockCache {
  public:
    static constexpr std::size_t block_size = std::size_t{64} << 10;
    /// A block has the beginning of the next one behind it, so that a record across the border is in one
    /// piece unless it is long.
    static constexpr std::size_t overlap = std::size_t{4} << 10;

    struct Block {
        std::uint64_t file = 0;
        std::uint64_t index = 0;
        std::size_t valid = 0;  // octets from its beginning that are there
        bool used = false;      // since the hand came by
        std::unique_ptr<char[]> octets;
    };

    explicit BlockCache(std::size_t blocks) : most_(blocks) {}

    /// The block, or an empty one in place of one that was not used lately. Good until the next call.
    Block& get(std::uint64_t file, std::uint64_t index);
    void drop(std::uint64_t file, std::uint64_t index);

  private:
    struct Key {
        std::uint64_t file, index;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const {
            return static_cast<std::size_t>((key.file * 0x9E3779B97F4A7C15 ^ key.index) * 0xBF58476D1CE4E5B9);
        }
    };

    const std::size_t most_;
    std::vector<Block> blocks_;
    std::unordered_map<Key, std::size_t, Hash> places_;
    std::size_t hand_ = 0;
    std::size_t last_ = 0;
};

}  // namespace trilby::broker
