// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "broker/message/message.hpp"

namespace trilby::broker {

/// A publish that did not arrive in one piece, as it is put together: method, then header, then body, part by
/// part. The memory grows with what has arrived, not with what the header promises. AMQP 0-9-1: 4.2.6.
class Content {
  public:
    enum class Expect : std::uint8_t { nothing, header, body };

    Expect expect() const { return expect_; }
    bool expected() const { return expect_ != Expect::nothing; }

    /// The method was seen. `names` is the exchange and routing key as short strings.
    void begin(std::string_view names, std::uint8_t flags);
    /// The whole payload of the header frame, which is valid. Afterwards a body is expected, or nothing.
    void header(std::string_view payload, std::uint32_t body_size);
    /// No longer than what is left. Afterwards nothing is expected if that was all.
    void body(std::string_view part);

    std::uint32_t body_left() const { return body_left_; }
    std::uint8_t flags() const { return flags_; }
    /// Octets that it takes.
    std::size_t held() const { return names_.capacity() + tail_.capacity(); }
    /// Complete: views into this object, good until `clear`.
    Publication publication() const;
    void clear();

  private:
    Expect expect_ = Expect::nothing;
    std::uint8_t flags_ = 0;
    std::uint32_t header_frame_size_ = 0;
    std::uint32_t body_size_ = 0;
    std::uint32_t body_left_ = 0;
    std::string names_;
    std::string tail_;
};

}  // namespace trilby::broker
