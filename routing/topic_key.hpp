// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "routing/hash.hpp"

namespace trilby::routing {

/// A word as sixteen bytes and a length. Up to 16 bytes these say everything; a longer word has a hash in
/// `head` and its last bytes in `tail`, and `text` must be compared too.
struct WordView {
    std::uint64_t head = 0;
    std::uint64_t tail = 0;
    std::string_view text = {};

    static constexpr std::size_t complete_size = 16;

    /// `floor` is a place at or before `text` from which on bytes may be read: short words are loaded
    /// backwards from their end, never past it.
    static WordView of(std::string_view text, const char* floor) {
        const char* const end = text.data() + text.size();
        if (text.size() > 8) {
            const std::uint64_t tail = load_8(end - 8);
            return {text.size() > complete_size ? hash_bytes(text) : load_8(text.data()), tail, text};
        }
        if (text.empty()) return {0, 0, text};
        if (end - floor >= 8) return {only_last(load_8(end - 8), text.size()), 0, text};
        std::uint64_t head = 0;
        std::memcpy(reinterpret_cast<char*>(&head) + 8 - text.size(), text.data(), text.size());
        return {only_last(head, text.size()), 0, text};
    }

    /// The length, but 255 for all that are longer.
    std::uint32_t length() const {
        return static_cast<std::uint32_t>(std::min<std::size_t>(text.size(), 255));
    }
    std::uint64_t hash() const { return fold(head ^ hash_secret[4], tail ^ hash_secret[5] ^ length()); }

    /// Of eight bytes in memory the last `size`, 1 to 8.
    static std::uint64_t only_last(std::uint64_t bytes, std::size_t size) {
        const auto padding = 64 - 8 * size;
        if constexpr (std::endian::native == std::endian::little) return bytes >> padding;
        return bytes & ~std::uint64_t{0} >> padding;
    }
};

/// The words of a routing key, one after the other. The empty key has no word; `a.` has two, the second
/// empty.
class WordCursor {
  public:
    /// `key` from `start` on. If start is not 0, a word begins there, be it an empty one.
    explicit WordCursor(std::string_view key, std::size_t start = 0)
        : floor_(key.data()),
          at_(floor_ + start),
          end_(floor_ + key.size()),
          window_(at_),
          done_(key.empty()) {
        find_dots();
    }

    bool done() const { return done_; }

    std::string_view next_text() {
        while (dots_ == 0 && end_ - window_ > 64) {
            window_ += 64;
            find_dots();
        }
        const char* const begin = at_;
        const char* stop = end_;
        if (dots_ != 0) {
            stop = window_ + std::countr_zero(dots_);
            dots_ &= dots_ - 1;
            at_ = stop + 1;
        } else {
            done_ = true;
        }
        return {begin, static_cast<std::size_t>(stop - begin)};
    }

    WordView next() { return WordView::of(next_text(), floor_); }

    /// How many words are left.
    std::uint32_t left() const {
        if (done_) return 0;
        WordCursor rest = *this;
        auto count = static_cast<std::uint32_t>(1 + std::popcount(rest.dots_));
        while (end_ - rest.window_ > 64) {
            rest.window_ += 64;
            rest.find_dots();
            count += static_cast<std::uint32_t>(std::popcount(rest.dots_));
        }
        return count;
    }

  private:
    /// Bit i: window_[i] is a dot.
    void find_dots() {
        const auto size = std::min<std::ptrdiff_t>(end_ - window_, 64);
        dots_ = 0;
        std::ptrdiff_t i = 0;
#if defined(__SSE2__)
        const auto dots_at = [](const char* bytes) {
            const __m128i chunk = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
            return static_cast<std::uint64_t>(
                static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(chunk, _mm_set1_epi8('.')))));
        };
        for (; i + 16 <= size; i += 16) dots_ |= dots_at(window_ + i) << i;
        if (i < size && window_ + size - floor_ >= 16) {
            dots_ |= dots_at(window_ + size - 16) >> (16 - (size - i)) << i;
            return;
        }
#endif
        for (; i < size; ++i) dots_ |= std::uint64_t{window_[i] == '.'} << i;
    }

    const char* floor_;  // the key's first byte
    const char* at_;     // where the next word begins
    const char* end_;
    const char* window_;  // the 64 bytes that dots_ speaks of begin here
    std::uint64_t dots_ = 0;
    bool done_;
};

/// Whether a binding key of a topic exchange has a `*` or `#` word.
bool has_wildcards(std::string_view pattern);

/// The rule of the topic exchange itself, word by word and without any index: `*` is one word, `#` any
/// number.
bool topic_matches(std::string_view pattern, std::string_view key);

}  // namespace trilby::routing
