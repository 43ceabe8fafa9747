// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/content.hpp"
#include "broker/ids.hpp"
#include "broker/mail.hpp"
#include "broker/message.hpp"
#include "broker/origin.hpp"
#include "broker/sequence_map.hpp"
#include "broker/transaction.hpp"
#include "broker/view.hpp"
#include "protocol/methods.hpp"
#include "protocol/properties.hpp"
#include "protocol/reply.hpp"

namespace trilby::broker {

class Session;
class Shard;

/// One channel: what methods do, what is unacknowledged, what is unconfirmed. Lives with its session. The
/// handlers are named after the methods and stand in channel_exchange.cpp, channel_queue.cpp,
/// channel_consume.cpp, channel_publish.cpp and channel_settle.cpp; their checks follow the order in which
/// RabbitMQ reports errors.
class Channel {
  public:
    /// Bodies up to this are copied into the output, larger ones referenced in their message.
    static constexpr std::uint32_t copied_body = 16384;

    Channel(Session& session, std::uint16_t number);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    std::uint16_t number() const { return number_; }

    // ---- From the session.

    protocol::Outcome<> handle(const protocol::Method& method);
    bool expects_content() const { return content_.expected(); }
    /// Is a body frame of so many octets what the content still needs?
    bool takes_body(std::uint32_t size) const {
        return content_.expect() == Content::Expect::body && size <= content_.body_left();
    }
    /// A publish whose method, header and body are whole in the receive buffer. `flags`: mandatory 1,
    /// immediate 2.
    protocol::Outcome<> publish(const Publication& publication, std::uint8_t flags);
    protocol::Outcome<> content_header(std::string_view payload);
    /// Part of a body, in order.
    protocol::Outcome<> content_body(std::string_view part);
    /// Methods are dropped, content frames too: our close was sent, or the client's is being carried out.
    bool is_closing() const { return state_ != State::open; }
    bool awaits_close_ok() const { return state_ == State::closing; }
    /// Ours, after an error: gives up what it holds, then tells the client.
    void close(protocol::ChannelReply code, const std::string& text, protocol::MethodId cause);
    /// The client's: gives up what it holds, then close-ok.
    void close_by_client();
    /// Consumers are cancelled, unacknowledged messages go back, an open transaction is dropped.
    void give_up();
    /// Closes the channel if its oldest delivery has waited longer than the consumer timeout.
    void check_consumer_timeout();
    /// Writes the confirms of this turn, of what is safe.
    void confirm();
    /// The disk has everything that was published up to this number.
    void confirm_to(DeliveryTag tag);
    /// Were publishes accepted that the disk does not have yet?
    bool awaits_disk() const { return awaited_ > confirmable_; }
    /// Tells this channel from another one of the same number.
    std::uint64_t serial() const { return serial_; }
    /// The connection's output is full, or has room again.
    void hold_consumers(bool held);

    // ---- From the shard, on behalf of queues.

    bool takes_deliveries() const { return !given_up_; }
    /// `message` may be null as long as the body is not larger than copied_body.
    void deliver(Origin& origin, Arrival& arrival, EntryNumber entry, bool redelivered);
    void owe_window(Origin& origin, std::int64_t octets);
    void wants_grant(Origin& origin);
    void grant_returned(Origin& origin, std::int64_t messages);
    void queue_gone(Origin& origin);
    void deliver_direct_reply(std::uint64_t secret, Message& message);
    bool consumes_replies(std::uint64_t secret) const {
        return replies_.consuming && replies_.secret == secret;
    }

  private:
    using Outcome = protocol::Outcome<>;
    enum class State : std::uint8_t { open, closing, closing_by_client };
    enum class Mode : std::uint8_t { plain, confirm, transaction };

    struct Unacknowledged {
        EntryNumber entry = 0;
        std::uint32_t origin = 0;  // 0: nothing here
        std::uint32_t in_transaction : 1 = 0;
        std::uint32_t delivered_at : 31 = 0;  // seconds of the steady clock
        std::uint64_t stored = 0;             // the message's id in the journal
        bool operator==(const Unacknowledged&) const = default;
    };
    /// A route as the last publish found it: valid while the view's generation and the names are the same.
    struct LastRoute {
        std::uint64_t generation = 0;
        std::string names;
        std::vector<routing::QueueIndex> queues;
    };
    /// What an exchange allows this user, as the last publish found it.
    struct LastExchange {
        std::uint64_t generation = 0;
        std::string name;
        routing::ExchangeIndex index = 0;
        bool topic = false;
        bool by_headers = false;
    };
    struct Replies {  // direct reply-to
        bool consuming = false;
        std::uint64_t secret = 0;
        std::string tag;
    };

    // channel.cpp
    Outcome channel_flow(const protocol::channel::Flow&);
    Outcome confirm_select(const protocol::confirm::Select&);
    Shard& shard();
    Vhost& vhost();
    Outcome check(auth::Operation operation, bool is_queue, std::string_view name);
    Outcome check_topic(const ExchangeInfo& exchange, auth::Operation operation, std::string_view key);
    std::unexpected<protocol::Exception> fail(protocol::ChannelReply code, std::string text);
    std::unexpected<protocol::Exception> fail(protocol::ConnectionReply code, std::string text);
    std::unexpected<protocol::Exception> not_found(std::string_view kind, std::string_view name);
    std::unexpected<protocol::Exception> locked(std::string_view queue);
    /// The name in a method, or that of the queue that was declared last if it is empty.
    protocol::Outcome<std::string> queue_name(std::string_view given);
    /// Exists, and is not another connection's exclusive queue.
    protocol::Outcome<const QueueInfo*> usable_queue(std::string_view name);
    void ask_queue(const QueueInfo& queue, protocol::MethodId cause, QueueQuestion question,
                   std::function<Outcome(const Answer&)> then);
    void ask_queue_of(const Origin& origin, protocol::MethodId cause, QueueQuestion question,
                      std::function<Outcome(const Answer&)> then);
    void ask_catalog(protocol::MethodId cause, CatalogRequest request,
                     std::function<Outcome(const Answer&)> then);

    // channel_exchange.cpp
    Outcome exchange_declare(const protocol::exchange::Declare&);
    Outcome exchange_delete(const protocol::exchange::Delete&);
    Outcome exchange_bind(const protocol::exchange::Bind&);
    Outcome exchange_unbind(const protocol::exchange::Unbind&);
    struct Binding {
        std::string source, destination, routing_key, arguments;
        bool to_queue;
        bool nowait;
    };
    Outcome bind(Binding binding, protocol::MethodId cause);
    Outcome unbind(Binding binding, protocol::MethodId cause);
    Outcome check_binding(const Binding& binding);
    bool has_binding(const Binding& binding);

    // channel_queue.cpp
    Outcome queue_declare(const protocol::queue::Declare&);
    Outcome declare_reply_name(const std::string& name, const protocol::queue::Declare&);
    Outcome queue_declare_passive(const std::string& name, bool nowait);
    struct Declaration {
        std::string name;
        bool durable, exclusive, auto_delete, nowait;
        std::string arguments;
    };
    Outcome declare(Declaration declaration);
    void answer_declare(const std::string& name, bool nowait, std::uint32_t messages,
                        std::uint32_t consumers);
    Outcome queue_bind(const protocol::queue::Bind&);
    Outcome queue_unbind(const protocol::queue::Unbind&);
    Outcome queue_purge(const protocol::queue::Purge&);
    Outcome queue_delete(const protocol::queue::Delete&);

    // channel_consume.cpp
    Outcome basic_qos(const protocol::basic::Qos&);
    Outcome basic_consume(const protocol::basic::Consume&);
    Outcome consume_replies(const protocol::basic::Consume&);
    Outcome basic_cancel(std::string_view tag, bool nowait, bool reply);
    Outcome basic_get(const protocol::basic::Get&);
    void limit_channel(std::uint32_t limit);
    void distribute_grants();
    Origin& add_origin(const QueueInfo& queue, bool no_ack);
    Origin* find_origin(std::string_view tag);
    void remove_origin(Origin& origin);
    void drop_if_unused(Origin& origin);
    Origin& origin_of_gets(QueueId queue, ShardIndex home);
    /// No more deliveries; it goes when the last one is settled.
    void end_consumer(Origin& origin);
    void tell_cancelled(ConsumerId id);

    // channel_settle.cpp
    class Runs;
    Outcome settle_tags(DeliveryTag tag, bool multiple, Settlement settlement);
    Outcome basic_recover(bool requeue, bool reply);
    Outcome tx_select();
    Outcome tx_commit();
    /// Hands the journal what of the transaction has to survive; the position to wait for, if anything has.
    std::optional<std::uint64_t> store(Transaction& transaction);
    void carry_out(Transaction& transaction);
    void drop_publishes(Transaction& transaction);
    Outcome tx_rollback();
    void requeue_all();

    // channel_publish.cpp
    Outcome content_complete();
    Outcome publish_checked(const Publication& publication, std::uint8_t flags);
    /// May the user publish to it? Remembers the last one.
    protocol::Outcome<const LastExchange*> check_exchange(std::string_view name);
    /// By the exchange that was checked last.
    void route(const Publication& publication, std::uint8_t flags, protocol::TableView headers);
    void send_to(const Publication& publication, std::uint8_t flags,
                 std::span<const routing::QueueIndex> queues);
    /// Its id in the journal; 0: it has not to survive.
    std::uint64_t store(const Publication& publication, std::span<const routing::QueueIndex> queues);
    /// False if the routing key is not the name of a direct reply.
    bool send_direct_reply(const Publication& publication);

    // channel_deliver.cpp
    DeliveryTag number_delivery(Origin& origin, EntryNumber entry, std::uint64_t stored);
    void write_get_ok(DeliveryTag tag, const Answer& answer);
    void return_unroutable(const Publication& publication);
    void write_content(std::string_view method, std::string_view names, std::string_view after_names,
                       const Publication& publication, Message* message);

    Session& session_;
    const std::uint16_t number_;
    State state_ = State::open;
    Mode mode_ = Mode::plain;
    bool given_up_ = false;
    bool confirm_due_ = false;
    std::uint32_t prefetch_ = 0;          // for consumers to come; 0: none
    std::uint32_t channel_prefetch_ = 0;  // qos global; 0: none
    std::uint32_t granted_ = 0;           // of it, at queues and not yet used
    std::uint32_t got_ = 0;               // unacknowledged of basic.get, which it does not count
    std::uint64_t published_ = 0;         // since confirm.select
    std::uint64_t confirmable_ = 0;       // of these, safe
    std::uint64_t confirmed_ = 0;
    std::uint64_t awaited_ = 0;    // published up to here, and waiting for the disk
    std::uint64_t stored_to_ = 0;  // position in the journal behind the last publish that it got
    const std::uint64_t serial_;
    std::string last_queue_;  // the queue that an empty name means
    Content content_;
    LastExchange last_exchange_;
    LastRoute last_route_;
    Replies replies_;
    SequenceMap<Unacknowledged> unacknowledged_{1};  // by delivery tag
    std::vector<std::unique_ptr<Origin>> origins_;   // by index; 0 is empty
    std::vector<std::uint32_t> free_origins_;
    std::vector<std::uint32_t> wanting_;  // origins that want a grant, in turn
    bool distributing_ = false;
    std::unique_ptr<Transaction> transaction_;
};

}  // namespace trilby::broker
