// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/component/harness/peer.hpp"

namespace trilby::scarce {

/// Messages have numbers, which are their bodies, with spaces behind them up to the size that is wanted.
using Number = unsigned;

/// What it says is written down at once. It remembers what it heard.
class Client final : public harness::Peer {
  public:
    static constexpr std::uint32_t frame_max = 4096;

    Client() : Peer(frame_max) {}

    template <class M>
    void say(std::uint16_t channel, const M& method) {
        if (!closed && !close_heard) send(channel, method);
    }
    /// On channel 1 they are confirmed in order, once that was asked for.
    void publish(std::uint16_t channel, Number number, std::string_view exchange, std::string_view key,
                 const protocol::Properties& properties = {}, std::size_t size = 0, bool mandatory = false);
    /// All that was delivered to the consumer of that tag, which was not settled yet.
    void settle(std::uint16_t channel, const std::string& tag, bool requeue = false);

    /// Of its answers, by name.
    std::map<std::string, unsigned> heard;
    /// By consumer tag, in order; "": by basic.get.
    std::map<std::string, std::vector<Number>> delivered;
    std::map<std::string, std::set<Number>> settled;
    std::set<Number> confirmed;
    std::uint64_t last_tag = 0;               // of any delivery
    std::vector<std::string> replies_wanted;  // reply-to of what was delivered
    bool settles_at_once = false;
    bool close_heard = false;
    std::uint16_t error = 0;  // of a close; 0: there was none
    std::string error_text;

  private:
    struct Out {
        std::string tag;
        Number number;
    };
    void on_method(std::uint16_t channel, const protocol::Method& method) override;
    void on_content(std::uint16_t channel, const protocol::Method& method,
                    const protocol::Properties& properties, std::string_view body) override;

    std::vector<Number> published_;  // on channel 1, while it has confirms
    bool confirms_ = false;
    std::map<std::uint16_t, std::map<std::uint64_t, Out>> out_;
};

}  // namespace trilby::scarce
