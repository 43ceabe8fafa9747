// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tests/component/harness/ledger.hpp"
#include "tests/component/harness/peer.hpp"
#include "tests/component/harness/violation.hpp"
#include "tests/component/harness/world.hpp"

namespace trilby::harness {

/// A client that asks one thing at a time: what sets a world up and reads its queues to the end.
class Tool final : public Peer {
  public:
    Tool(World& world, std::size_t shard) : Peer(131072), world_(world) {
        world.connect(*this, shard);
        ask(protocol::channel::Open{}, protocol::channel::OpenOk::id);
    }

    template <class M>
    void ask(const M& method, protocol::MethodId reply) {
        send(1, method);
        replied_ = {};
        world_.rest();
        require(replied_ == reply, "{} instead of {}", protocol::method_name(replied_),
                protocol::method_name(reply));
    }

    /// Reads the queue to its end, without acknowledgement.
    template <class F>
    void drain(const std::string& queue, F message) {
        do {
            send(1, protocol::basic::Get{.queue = queue, .no_ack = true});
            replied_ = {};
            world_.rest();
            if (replied_ == protocol::basic::GetOk::id) message(body_, redelivered_);
        } while (replied_ == protocol::basic::GetOk::id);
        require(replied_ == protocol::basic::GetEmpty::id, "{} instead of get-empty",
                protocol::method_name(replied_));
    }

    void leave() {
        send(0, protocol::connection::Close{.reply_code = 200});
        world_.rest();
        require(closed, "the broker does not let go");
    }

  private:
    void on_method(std::uint16_t channel, const protocol::Method& method) override {
        if (channel == 1) replied_ = std::visit([](const auto& one) { return one.id; }, method);
    }
    void on_content(std::uint16_t, const protocol::Method& method, const protocol::Properties&,
                    std::string_view body) override {
        const auto* const got = std::get_if<protocol::basic::GetOk>(&method);
        if (got == nullptr) return;  // it consumes, and goes without looking
        replied_ = got->id;
        redelivered_ = got->redelivered;
        body_ = body;
    }

    World& world_;
    protocol::MethodId replied_{};
    bool redelivered_ = false;
    std::string body_;
};

}  // namespace trilby::harness
