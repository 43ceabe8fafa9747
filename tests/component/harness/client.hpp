// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/component/harness/ledger.hpp"
#include "tests/component/harness/peer.hpp"
#include "tests/component/harness/random.hpp"
#include "tests/component/harness/topology.hpp"

namespace trilby::harness {

/// What the clients of one run do at all.
struct Habits {
    bool no_ack = false;
    bool transactions = false;
    bool purges = false;
    bool errors = false;
    bool drops = false;
    bool changes_limits = false;
    bool large_bodies = false;
    bool replies = false;
    bool stalls = false;
};

/// One connection that says random things and checks what comes back.
class Client final : public Peer {
  public:
    Client(Ledger& ledger, const Topology& topology, Random& random, const Habits& habits, unsigned number,
           std::uint32_t frame_max);

    /// Says one more thing.
    void act();
    /// Says good-bye, or cuts the connection.
    void leave();
    bool leaving() const { return leaving_; }
    /// The broker is about to close the connection.
    void expect_end();
    /// The broker has come to rest: everything must have been answered. `ready` tells what waits in a queue.
    template <class F>
    void check_rest(F ready) {
        if (stalled) return;
        check_answers();
        for (const auto& [number, channel] : channels_) {
            check_stuck(*channel, ready);
            check_replies(*channel);
        }
    }
    void on_closed() override;

  private:
    static constexpr std::string_view reply_queue = "amq.rabbitmq.reply-to";

    struct Held {  // a delivery that was read and not settled
        std::string queue;
        MessageNumber message;
        std::string consumer;  // "": basic.get
        bool ambiguous = false;
        bool in_transaction = false;
    };
    struct Consumer {
        std::string tag;
        std::string queue;
        bool no_ack;
        unsigned prefetch;
        unsigned held = 0;
        bool active = false;
        std::map<HolderNumber, MessageNumber> last;  // by publisher, of what was not redelivered
    };
    struct Request {
        std::optional<protocol::MethodId> reply{};
        std::optional<protocol::MethodId> other_reply{};
        bool may_fail = false;
        std::vector<MessageNumber> publishes{};
        std::vector<std::pair<std::string, MessageNumber>> settled{};
        std::string queue{};
        std::string tag{};
        bool no_ack = false;
        bool recovers = false;
        bool ends_consumer = false;
    };
    struct TransactionSettlement {
        std::uint64_t tag;
        bool requeue;
    };
    enum class Phase { open, closing, closed };
    enum class Mode { plain, confirm, transaction };
    struct Channel {
        std::uint16_t number;
        HolderNumber holder;
        Phase phase = Phase::open;
        Mode mode = Mode::plain;
        std::deque<Request> requests;
        std::map<std::uint64_t, Held> held;
        std::uint64_t last_tag = 0;
        std::vector<Consumer> consumers;
        std::map<std::string, std::map<HolderNumber, MessageNumber>> last_got;
        unsigned prefetch = 0;
        unsigned limit = 0;  // qos global
        bool limit_is_strict = true;
        bool ambiguous = false;
        unsigned recovering = 0;
        std::vector<MessageNumber> unconfirmed;  // in order
        std::uint64_t confirmed = 0;
        std::set<MessageNumber> must_return;
        /// With which tag it consumes replies, as asked for; done by the time it is acted upon. Empty: it
        /// does not.
        std::string reply_tag;
        unsigned consumed_replies = 0;  // how often it began to
        std::vector<MessageNumber> transaction_publishes;
        std::vector<TransactionSettlement> transaction_settlements;
    };

    void on_method(std::uint16_t channel, const protocol::Method& method) override;
    void on_content(std::uint16_t channel, const protocol::Method& method,
                    const protocol::Properties& properties, std::string_view body) override;
    void delivered(Channel& channel, Consumer* consumer, const std::string& queue, std::uint64_t tag,
                   bool redelivered, MessageNumber message, bool no_ack);
    void replied(Channel& channel, protocol::MethodId reply, std::string_view tag);
    void complete(Channel& channel, const Request& request);
    void confirmed(Channel& channel, std::uint64_t tag, bool multiple);
    void closed_by_broker(Channel& channel, const protocol::channel::Close& close);
    /// Everything held goes back; what was on the way may be lost or go back unread.
    void let_go(Channel& channel);
    /// What was asked and not answered may or may not have been done.
    void doubt(Channel& channel);
    void let_go_of_all();
    void check_answers();
    void check_replies(const Channel& channel) const;
    template <class F>
    void check_stuck(const Channel& channel, F ready) const;
    void stuck(const Channel& channel, const Consumer& consumer, std::int64_t ready) const;

    void ask(Channel& channel, Request request);
    void open_channel();
    void publish(Channel& channel);
    void request(Channel& channel);
    void answer(Channel& channel);
    void send_message(Channel& channel, const protocol::basic::Publish& method,
                      const protocol::Properties& properties, Ledger::Message message);
    std::uint32_t any_size();
    void settle(Channel& channel);
    void take_settled(Channel& channel, std::uint64_t tag, bool requeue, Request& request);
    void get(Channel& channel);
    void consume(Channel& channel);
    void consume_replies(Channel& channel);
    void cancel(Channel& channel);
    void qos(Channel& channel);
    void recover(Channel& channel);
    void end_transaction(Channel& channel);
    void declare(Channel& channel);
    void remove(Channel& channel);
    void bind(Channel& channel);
    void exchanges(Channel& channel);
    void purge(Channel& channel);
    void close_channel(Channel& channel);
    void fail(Channel& channel);
    std::string any_queue();
    std::string passing_queue();

    Ledger& ledger_;
    const Topology& topology_;
    Random& random_;
    const Habits& habits_;
    const unsigned number_;
    std::map<std::uint16_t, std::unique_ptr<Channel>> channels_;
    unsigned next_tag_ = 0;
    bool leaving_ = false;
    bool has_stalled_ = false;     // what is said to who does not read may be lost
    bool close_expected_ = false;  // connection.close of the broker
};

template <class F>
void Client::check_stuck(const Channel& channel, F ready) const {
    if (channel.phase != Phase::open || channel.ambiguous || cut || leaving_) return;
    unsigned used = 0;
    for (const auto& [tag, held] : channel.held) used += held.consumer.empty() ? 0 : 1;
    if (channel.limit != 0 && used >= channel.limit) return;
    for (const Consumer& consumer : channel.consumers)
        if (consumer.active &&
            (consumer.no_ack || consumer.prefetch == 0 || consumer.held < consumer.prefetch))
            if (const std::int64_t waiting = ready(consumer.queue); waiting > 0)
                stuck(channel, consumer, waiting);
}

}  // namespace trilby::harness
