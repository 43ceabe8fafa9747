// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "protocol/methods.hpp"
#include "protocol/properties.hpp"

namespace trilby::harness {

/// The client's end of a connection: frames out, frames in, and the handshake, which is sent in one piece.
class Peer {
  public:
    /// Prints every method that goes out and comes in.
    static inline bool trace = false;

    explicit Peer(std::uint32_t frame_max);
    virtual ~Peer() = default;
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    std::string outbox;    // octets that the broker has not read
    bool opened = false;   // the virtual host is
    bool cut = false;      // nothing more goes in or out
    bool closed = false;   // by the broker, after all it had to say
    bool stalled = false;  // reads nothing, and its socket takes nothing more

    void receive(std::string_view octets);
    virtual void on_closed() {}

  protected:
    virtual void on_method(std::uint16_t channel, const protocol::Method& method) = 0;
    virtual void on_content(std::uint16_t channel, const protocol::Method& method,
                            const protocol::Properties& properties, std::string_view body) = 0;

    template <class M>
    void send(std::uint16_t channel, const M& method) {
        protocol::append_method(outbox, channel, method);
        if (trace) told(channel, method);
    }
    void send_publish(std::uint16_t channel, const protocol::basic::Publish& method,
                      const protocol::Properties& properties, std::string_view body);

  private:
    void told(std::uint16_t channel, const protocol::Method& method) const;
    struct Content {
        std::string method;  // the payload
        std::uint64_t left = 0;
        std::string properties;
        std::string body;
    };
    void frame(std::uint8_t type, std::uint16_t channel, std::string_view payload);
    void finish_content(std::uint16_t channel);

    const std::uint32_t frame_max_;
    std::string inbox_;
    std::unordered_map<std::uint16_t, Content> contents_;
};

}  // namespace trilby::harness
