// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/asking/direct_reply.hpp"
#include "broker/catalog/view.hpp"
#include "broker/ids/ids.hpp"
#include "broker/ids/sequence_map.hpp"
#include "broker/message/content.hpp"
#include "broker/message/message.hpp"
#include "broker/operations/exchanges.hpp"
#include "broker/operations/publishing.hpp"
#include "broker/operations/queues.hpp"
#include "broker/session/channel_limit.hpp"
#include "broker/session/confirms.hpp"
#include "broker/session/subscription.hpp"
#include "broker/session/transaction.hpp"
#include "broker/shard/mail.hpp"
#include "broker/shard/router.hpp"
#include "protocol/methods.hpp"
#include "protocol/properties.hpp"
#include "protocol/reply.hpp"

namespace trilby::broker {

class Output;
class Session;
class Shard;

/// One channel: what methods do, what is unacknowledged, what is unconfirmed. Lives with its session. The
/// handlers are named after the methods and stand in channel_exchange.cpp, channel_queue.cpp,
/// channel_consume.cpp, channel_publish.cpp, channel_replies.cpp and channel_settle.cpp; their checks follow
/// the order in which RabbitMQ reports errors.
class Channel {
  public:
    /// Bodies up to this are copied into the output, larger ones referenced in their message.
    static constexpr std::uint32_t copied_body = 16384;
    /// What Shard::holds_much is about, in errors.
    static constexpr std::string_view held_by_clients = "what connections have opened";

    Channel(Session& session, std::uint16_t number);
    ~Channel();
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    std::uint16_t number() const { return number_; }
    Session& session() { return session_; }

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
    /// Is a content under way that has come in part only?
    bool has_part_of_content() const { return content_.expect() == Content::Expect::body; }
    /// Octets that it holds of messages which no queue has yet: of a content that is not whole, of a
    /// transaction that is not committed.
    std::size_t unfinished() const;
    /// Methods are dropped, content frames too: our close was sent, or the client's is being carried out.
    bool is_closing() const { return state_ != State::open; }
    bool awaits_close_ok() const { return state_ == State::closing; }
    /// Ours, after an error: gives up what it holds, then tells the client.
    void close(protocol::ChannelReply code, const std::string& text, protocol::MethodId cause);
    /// The client's: gives up what it holds, then close-ok.
    void close_by_client();
    /// Consumers are cancelled, unacknowledged messages go back, an open transaction is dropped, as far as
    /// this turn goes. True: all of it.
    bool give_up();
    bool given_up() const { return given_up_; }
    /// Closes the channel if its oldest delivery has waited longer than the consumer timeout.
    void check_consumer_timeout();
    /// Writes the confirms of this turn, of what is safe.
    void confirm();
    /// The disk has everything that was published up to this number.
    void confirm_to(DeliveryTag tag);
    /// Were publishes accepted that the disk does not have yet?
    bool awaits_disk() const { return confirms_.awaits_disk(); }
    /// Messages that went out; each took a delivery tag.
    std::uint64_t deliveries() const { return unacknowledged_.end() - 1; }
    /// Tells this channel from another one of the same number.
    std::uint64_t serial() const { return serial_; }
    /// The connection's output is full, or has room again.
    void hold_consumers(bool held);

    // ---- From its subscriptions, on behalf of queues.

    /// False from the moment on that it gives up.
    const bool& takes_deliveries() const { return takes_deliveries_; }
    void deliver(Subscription& subscription, Arrival& arrival, EntryNumber entry, bool redelivered);
    void owe_window(Subscription& subscription, std::int64_t octets);
    void wants_grant(Subscription& subscription);
    void grant_returned(Subscription& subscription, std::int64_t messages);
    void queue_gone(Subscription& subscription);
    /// False: this channel does not consume replies under that name.
    bool deliver_direct_reply(std::uint64_t secret, Message& message);
    bool consumes_replies(std::uint64_t secret) const {
        return replies_.consuming && replies_.secret == secret;
    }

  private:
    using Outcome = protocol::Outcome<>;
    enum class State : std::uint8_t { open, closing, closing_by_client };
    enum class Mode : std::uint8_t { plain, confirm, transaction };

    struct Unacknowledged {
        EntryNumber entry = 0;
        std::uint32_t subscription = 0;  // 0: nothing here
        std::uint32_t in_transaction : 1 = 0;
        std::uint32_t delivered_at : 31 = 0;  // seconds of the steady clock
        std::uint64_t stored = 0;             // the message's id in the journal
        bool operator==(const Unacknowledged&) const = default;
    };
    /// Where the last publish went.
    struct LastTarget {
        std::uint64_t generation = 0;
        std::string name;
        PublishTarget target;
    };
    /// Where a publish leads: queues, and who awaits a direct reply under one of its keys.
    struct Route {
        std::span<const routing::QueueIndex> queues;
        std::span<const ReplyAddress> replies;
    };
    struct Replies {  // direct reply-to
        bool consuming = false;
        std::uint64_t secret = 0;
        std::string tag;
    };

    // channel.cpp
    void cancel_for_good(Subscription& subscription);
    void give_up_then(std::function<void()> then);
    Outcome channel_flow(const protocol::channel::Flow&);
    Outcome confirm_select(const protocol::confirm::Select&);
    Shard& shard() { return shard_; }
    Vhost& vhost();
    Caller caller() const;
    /// The name in a method, or that of the queue that was declared last if it is empty.
    protocol::Outcome<std::string> queue_name(std::string_view given);
    void ask_queue(const QueueInfo& queue, protocol::MethodId cause, QueueQuestion question,
                   std::function<Outcome(const Answer&)> then);
    void ask_queue_of(const Subscription& subscription, protocol::MethodId cause, QueueQuestion question,
                      std::function<Outcome(const Answer&)> then);
    void ask_catalog(protocol::MethodId cause, CatalogRequest request,
                     std::function<Outcome(const Answer&)> then);
    /// When it is known whether the queue, which the view says is closed, is deleted.
    void when_decided(QueueId queue, protocol::MethodId cause, std::function<Outcome()> then);

    // channel_exchange.cpp
    Outcome exchange_declare(const protocol::exchange::Declare&);
    Outcome exchange_delete(const protocol::exchange::Delete&);
    Outcome exchange_bind(const protocol::exchange::Bind&);
    Outcome exchange_unbind(const protocol::exchange::Unbind&);
    Outcome declare(const ExchangeDeclaration& declaration, bool nowait);
    Outcome bind(const Binding& binding, protocol::MethodId cause, bool nowait);
    Outcome unbind(const Binding& binding, protocol::MethodId cause, bool nowait);

    // channel_queue.cpp
    Outcome queue_declare(const protocol::queue::Declare&);
    Outcome declare_reply_name(const std::string& name, const protocol::queue::Declare&);
    Outcome queue_declare_passive(const std::string& name, bool nowait);
    /// Who waits and calls again gives a copy: what it keeps may be gone before this ends.
    Outcome declare(const QueueDeclaration& declaration, bool nowait);
    void declare_new(const QueueDeclaration& declaration, bool nowait, declared::New& found);
    void answer_declare(const std::string& name, bool nowait, std::uint32_t messages,
                        std::uint32_t consumers);
    Outcome queue_bind(const protocol::queue::Bind&);
    Outcome queue_unbind(const protocol::queue::Unbind&);
    Outcome queue_purge(const protocol::queue::Purge&);
    Outcome queue_delete(const protocol::queue::Delete&);

    // channel_consume.cpp
    Outcome basic_qos(const protocol::basic::Qos&);
    Outcome basic_consume(const protocol::basic::Consume&);
    Outcome basic_cancel(std::string_view tag, bool nowait, bool reply);
    Outcome basic_get(const protocol::basic::Get&);
    /// The consumers from this one on learn whether there is a limit of the channel; if there is, qos-ok
    /// follows.
    void limit_consumers(std::size_t next);
    /// What is left of its limit goes to those that want something.
    void hand_out_limit() {
        limit_.hand_out([this] { return unacknowledged_.size(); });
    }
    Subscription& add_subscription(const QueueInfo& queue, bool no_ack);
    Subscription* find_subscription(std::string_view tag);
    /// Of a consumer; null if it is gone, and another one may have its place.
    Subscription* find_subscription(std::uint32_t index, ConsumerId id);
    void remove_subscription(Subscription& subscription);
    void drop_if_unused(Subscription& subscription);
    /// The queue is not to know it any more, for it is about to go.
    void leave_queue(Subscription& subscription);
    Subscription& subscription_of_gets(QueueId queue, ShardIndex home);
    /// No more deliveries; it goes when the last one is settled.
    void end_consumer(Subscription& subscription);
    void tell_cancelled(std::uint32_t index, ConsumerId id);

    // channel_settle.cpp
    class Runs;
    /// Those that are settled by no open transaction, from `first` to `last`, as far as this turn goes;
    /// `first` is the next one then. True: all.
    bool settle_some(DeliveryTag& first, DeliveryTag last, Settlement settlement);
    /// The same with what is left of them later.
    void settle(DeliveryTag first, DeliveryTag last, Settlement settlement);
    Outcome settle_tags(DeliveryTag tag, bool multiple, Settlement settlement);
    Outcome basic_recover(bool requeue, bool reply);
    Outcome tx_select();
    Outcome tx_commit();
    /// Hands the journal what of the transaction has to survive; the position to wait for, if anything has.
    std::optional<std::uint64_t> store(Transaction& transaction);
    /// Direct replies first, for they may be returned …
    void carry_out(const std::shared_ptr<Transaction>& transaction);
    /// … then what leads nowhere is returned, then all is done, then commit-ok.
    void fill_queues(const std::shared_ptr<Transaction>& transaction);
    void return_what_leads_nowhere(Transaction& transaction);
    /// As far as this turn goes. True: all.
    bool publish_some(Transaction& transaction);
    bool settle_some(Transaction& transaction);
    /// One of the queues that it still publishes to, if that is closed.
    QueueId undecided_queue(const Transaction& transaction);
    Outcome tx_rollback();

    // channel_publish.cpp
    Outcome content_complete();
    /// May such a publish come, whatever is in it? Asked before its body is taken.
    bool takes(std::uint8_t flags, std::uint32_t body_size);
    std::unexpected<protocol::Exception> refuse_publish(std::uint8_t flags, std::uint32_t body_size);
    Outcome publish_checked(const Publication& publication, std::uint8_t flags);
    /// Remembers the last one.
    protocol::Outcome<const PublishTarget*> target_of(std::string_view exchange);
    Outcome publish_rewritten(const Publication& publication, std::uint8_t flags,
                              const protocol::Properties& properties, const CheckedProperties& checked);
    /// By the exchange that was checked last. False as `send_to`.
    bool route(const Publication& publication, std::uint8_t flags, protocol::TableView headers,
               std::span<const std::string_view> more_keys);
    /// False: nothing was done, for one of the queues is closed; it is `undecided_` then.
    bool send_to(const Publication& publication, std::uint8_t flags, const Route& route);
    void keep_for_commit(const Publication& publication, std::uint8_t flags, const Route& route);
    /// What is not about queues: direct replies, and that it comes back. False: it counts when the replies
    /// are answered.
    bool send_to_others(const Publication& publication, std::uint8_t flags, const Route& route);
    struct Spread;
    /// To the other queues later, then the replies; it counts then.
    void spread(std::unique_ptr<Router::Rest> rest, std::span<const ReplyAddress> replies);
    void go_on_spreading(const std::shared_ptr<Spread>& left);
    /// All over again, once `undecided_` is decided.
    void publish_when_decided(const Publication& publication, std::uint8_t flags);
    std::shared_ptr<Message> keep(const Publication& publication);
    /// Its number is taken, and it is safe as soon as the journal has what it got so far.
    void count_publish() {
        if (mode_ != Mode::confirm) return;
        confirms_.add();
        if (!confirm_due_) confirm_at_end_of_turn();
    }
    void confirm_at_end_of_turn();

    // channel_replies.cpp
    Outcome consume_replies(const protocol::basic::Consume&);
    /// To whoever is still there.
    void send_replies(const Publication& publication, std::span<const ReplyAddress> addresses);
    /// `told` whether somebody still was.
    void send_mandatory_replies(const std::shared_ptr<Message>& message,
                                std::span<const ReplyAddress> addresses,
                                std::function<void(bool delivered)> told);

    // channel_deliver.cpp
    DeliveryTag number_delivery(Subscription& subscription, EntryNumber entry, std::uint64_t stored);
    DeliveryTag number_get(QueueId queue, const answer::Got& got);
    void write_get_ok(DeliveryTag tag, const answer::Got& got);
    void return_unroutable(const Publication& publication);
    void write_delivery(const Subscription& subscription, Arrival& arrival, DeliveryTag tag,
                        bool redelivered);
    /// Of one whose body is referenced, or takes several frames.
    void write_long_delivery(const Subscription& subscription, Arrival& arrival, DeliveryTag tag,
                             bool redelivered);
    /// All of it, or nothing if it throws. `message`: to refer to if the body is large; null: it is copied.
    /// `owed`: as Output has it.
    void write_content(std::string_view method, std::string_view names, std::string_view after_names,
                       const Publication& publication, Message* message, bool owed);
    void write_frames(Output& output, std::string_view method, std::string_view names,
                      std::string_view after_names, const Publication& publication, Message* message,
                      bool owed);

    Session& session_;
    Shard& shard_;  // the session's: asked for at every step of a message
    const std::uint16_t number_;
    State state_ = State::open;
    Mode mode_ = Mode::plain;
    bool takes_deliveries_ = true;
    bool given_up_ = false;
    bool confirm_due_ = false;
    std::uint32_t prefetch_ = 0;  // for consumers to come; 0: none
    Confirms confirms_;
    ChannelLimit limit_;
    const std::uint64_t serial_;
    std::string last_queue_;  // the queue that an empty name means
    Content content_;
    LastTarget last_target_;
    Router router_;
    QueueId undecided_{};  // of `send_to`
    Replies replies_;
    SequenceMap<Unacknowledged> unacknowledged_{1};             // by delivery tag
    std::vector<std::unique_ptr<Subscription>> subscriptions_;  // by index; 0 is empty
    std::vector<std::uint32_t> free_subscriptions_;
    std::uint32_t next_to_cancel_ = 0;                          // of the subscriptions, while it gives up
    std::unordered_map<std::string_view, Subscription*> tags_;  // of consumers that are not cancelled
    std::unordered_map<QueueId, Subscription*> gets_;           // subscriptions of basic.get
    std::unique_ptr<Transaction> transaction_;
};

}  // namespace trilby::broker
