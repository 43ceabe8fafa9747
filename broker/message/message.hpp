// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "protocol/byte_order.hpp"
#include "protocol/slice.hpp"

namespace trilby::broker {

/// Where the parts of one publish lie, whether still in the receive buffer or in a `Message`: nothing is
/// owned.
///
/// `names` is the exchange and the routing key, each as a short string, as basic.publish and basic.deliver
/// both carry them. `tail` is what follows them in a delivery: the end octet of the method frame, the whole
/// header frame, and, for a body that is not empty, one body frame. The length in that body frame may exceed
/// any frame-max; whoever delivers it cuts. Channel numbers inside are the publisher's.
struct Publication {
    std::string_view names;
    std::string_view tail;
    std::uint32_t header_frame_size = 0;  // with its 7 octets of head and its end octet
    std::uint32_t body_size = 0;

    std::string_view exchange() const {
        return protocol::slice(names, 1, static_cast<unsigned char>(names[0]));
    }
    std::string_view routing_key() const {
        const std::size_t at = 1 + std::size_t{static_cast<unsigned char>(names[0])};
        return protocol::slice(names, at + 1, static_cast<unsigned char>(names[at]));
    }
    /// Property flags and values, as received (4.2.6.1).
    std::string_view properties() const {
        return protocol::slice(tail, 1 + 7 + 12, header_frame_size - 8 - 12);
    }
    std::string_view body() const {
        return body_size == 0 ? std::string_view{}
                              : protocol::slice(tail, 1 + header_frame_size + 7, body_size);
    }
};

/// A message as every holder shares it: immutable once built, counted, freed by the last. One block of its
/// home shard's `MessagePool`; the octets behind the head are `names` and `tail` of a Publication, one after
/// the other.
struct Message {
    std::atomic<std::uint32_t> references;
    std::uint32_t body_size;
    std::uint32_t header_frame_size;
    std::uint16_t names_size;
    std::uint8_t home;        // the shard whose pool it came from
    std::uint8_t size_class;  // of that pool; MessagePool::huge when it is a block of its own
    std::uint64_t stored;     // its id in the journal; 0: it is not there

    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
    std::size_t tail_size() const {
        return 1 + std::size_t{header_frame_size} + (body_size == 0 ? 0 : std::size_t{body_size} + 8);
    }
    /// Octets of memory it stands for: what windows, rings and watermarks count.
    std::size_t weight() const { return sizeof(Message) + names_size + tail_size(); }
    Publication publication() const {
        return {{bytes(), names_size}, {bytes() + names_size, tail_size()}, header_frame_size, body_size};
    }
    void hold(std::uint32_t more = 1) { references.fetch_add(more, std::memory_order_relaxed); }
};
static_assert(sizeof(Message) == 24);

/// Writes `channel` over the publisher's channel numbers in a copied tail.
inline void set_channel(char* tail, std::uint32_t header_frame_size, std::uint32_t body_size,
                        std::uint16_t channel) {
    protocol::store_big_endian(tail + 2, channel);
    if (body_size != 0) protocol::store_big_endian(tail + 1 + header_frame_size + 1, channel);
}

}  // namespace trilby::broker
