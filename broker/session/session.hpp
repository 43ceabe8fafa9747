// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "auth/identity.hpp"
#include "auth/sasl.hpp"
#include "broker/log/event.hpp"
#include "broker/message/output.hpp"
#include "broker/operations/caller.hpp"
#include "broker/session/session_life.hpp"
#include "broker/shard/mail.hpp"
#include "broker/shard/shard.hpp"
#include "protocol/methods.hpp"
#include "protocol/reply.hpp"

namespace trilby::broker {

class Channel;

/// The two ends of a connection's socket.
struct Peer {
    std::string address;
    std::uint16_t port = 0;
    std::string local_address;
    std::uint16_t local_port = 0;
};

class Session;

/// Who moves the octets of sessions: the loop of their shard.
class SessionHost {
  public:
    /// It has something to be written, is to be read again, or is over: to be looked at before the turn ends,
    /// once, however often it says so (Session::touched).
    virtual void touched(Session& session) = 0;

  protected:
    ~SessionHost() = default;
};

/// The rules of one connection, without its socket: octets and time in, octets out, and calls to its shard.
/// Never throws for what a peer sends. One shard's thread.
///
/// A session that has asked something (of the catalog, of a queue's home) does not read on until it is
/// answered, so replies come in the order of requests and nothing overtakes.
class Session final : public Resident {
  public:
    Session(Shard& shard, Peer peer, SessionHost& loop);
    ~Session();

    AskerId id() const { return id_; }
    /// "127.0.0.1:50000 -> 127.0.0.1:5672", as RabbitMQ names connections, and " - 'NAME'" if its client gave
    /// it one; fit for the log.
    std::string name() const;
    /// For a line of the log about it.
    log::Fields about(log::Event event) const;

    // ---- For who moves the octets.

    /// What was received but not yet consumed; it must stand before the next octets.
    std::string_view tail() const { return tail_; }
    /// `bytes` begin with the tail. What is left of them is the new tail.
    void on_bytes(std::string_view bytes);
    void on_peer_gone();
    /// At next_tick() at the latest, as it is when the session was looked at last; better too often than not.
    void on_tick();
    Shard::Time next_tick() const;
    /// While it is not read, about once a second. Octets of the peer's are waiting: it is alive.
    void on_octets_waiting() { received_ = true; }
    /// And the peer has closed its side, behind what it has said.
    void on_peer_finished();
    /// Should the socket be read?
    bool wants_input() const { return life_.listening() && !held(); }
    Output& output() { return output_; }
    /// So many octets of the output were sent.
    void on_output_sent(std::size_t octets);
    /// Writes what was left for the end of the turn: confirms.
    void finish_turn();
    /// Nothing more will come in or go out: the socket can be closed, and the session destroyed.
    bool over() const {
        return life_.stage() == Stage::dropped || (life_.stage() == Stage::leaving && output_.empty());
    }
    /// The peer is not to be waited for: the socket is closed without a farewell.
    bool abrupt() const { return life_.stage() == Stage::dropped; }
    /// Over at once, whatever is not said, not taken or not answered yet. When the broker cannot wait.
    void drop();
    /// Something that was done for it has thrown: closed with 541, or without a word if that is too much as
    /// well.
    void fail(const char* what) noexcept override;

    bool touched = false;  // of the loop: it is in its list of sessions to look at
    void* host = nullptr;  // of the loop: the socket's side

    // ---- Resident: for the shard.

    void answered(std::uint32_t question, const Answer& answer) override;
    void room_made() override;
    void turn_came() override;
    void alarm_changed() override;
    std::size_t unfinished() const override;
    /// Closes the connection.
    void drop_unfinished(std::size_t least) override;
    /// connection.close 320, or 541 if the journal has failed.
    void stop(bool journal_failed) override;
    bool takes_replies(const ReplyAddress& address) override;
    bool take_reply(const ReplyAddress& address, Message& message) override;

    // ---- For its channels.

    Channel* find_channel(std::uint16_t number) {
        return last_channel_ != nullptr && last_number_ == number ? last_channel_ : look_for_channel(number);
    }
    Shard& shard() { return shard_; }
    Vhost& vhost() { return *vhost_; }
    const auth::Identity& identity() const { return identity_; }
    /// As whom operations are asked for.
    Caller caller() const { return {identity_, shard_.view(), *vhost_, id_}; }
    std::uint32_t frame_max() const { return frame_max_; }
    bool peer_takes_cancels() const { return peer_takes_cancels_; }

    /// A message came in, whatever becomes of it.
    void count_publish() { ++published_; }
    void say_channel_closed(std::uint16_t number, protocol::ChannelReply code, std::string_view text,
                            protocol::MethodId cause) const;

    template <class M>
    void send(std::uint16_t channel, const M& method) {
        scratch_.clear();
        protocol::append_method(scratch_, channel, method);
        output_.append(scratch_);
        touch();
    }
    void touch() {
        if (!touched) host_.touched(*this);
    }
    /// After a delivery was written.
    void check_output() {
        if (!full_ && output_.size() > shard_.settings().output_limit) hold_consumers();
    }
    bool full() const { return full_; }
    /// Is there room for one more direct reply? They come unasked for, and nobody waits for a requester that
    /// does not read: those beyond are dropped, and counted.
    bool takes_direct_reply();
    void confirm_at_end_of_turn(Channel& channel);
    /// Calls Channel::confirm_to when the disk has what was published so far.
    void confirm_when_safe(Channel& channel, DeliveryTag tag);

    using Continuation = std::function<protocol::Outcome<>(const Answer&)>;
    /// Asks by `put(ReplyTo)`, and does not read on until the answer was given to `then`. An error that it
    /// returns is raised on `channel` (null: on the connection), with `cause`.
    template <class Put>
    void ask(Channel* channel, protocol::MethodId cause, Continuation then, Put put) {
        const ReplyTo to = open_question(channel, cause, std::move(then));
        try {
            put(to);
        } catch (...) {
            close_question(to.number);
            throw;
        }
    }
    /// Calls `then` when no question is open: at once, or after the answers to come.
    void when_answered(std::function<void()> then);
    /// The same, but in a later turn: this one has no room for more of it. Nothing is read before.
    void go_on_later(std::function<void()> then);
    bool waiting() const { return !questions_.empty(); }

    void raise(Channel* channel, const protocol::Exception& exception, protocol::MethodId cause);
    /// Before one is asked for, so that it can be remembered once it is there.
    void expect_exclusive_queue() {
        const std::size_t size = exclusive_queues_.size();
        if (exclusive_queues_.capacity() == size) exclusive_queues_.reserve(2 * size + 1);
    }
    void own_exclusive_queue(QueueId queue) { exclusive_queues_.push_back(queue); }
    void disown_exclusive_queue(QueueId queue);
    /// A channel has been closed by both sides.
    void forget_channel(std::uint16_t number);
    /// A publish met a full road.
    void wait_for_room();
    /// Called as soon as a publish's header is seen while the alarm is on.
    void block();

  private:
    using Stage = SessionLife::Stage;
    struct Question {
        std::uint16_t channel;  // 0: the connection
        protocol::MethodId cause;
        Continuation then;
    };
    enum Gate : std::uint8_t { question = 1, room = 2, alarm = 4, replies = 8, turn = 16, login = 32 };
    struct Login {
        std::string mechanism;
        auth::Credentials credentials;
        Shard::Time at;  // when the password may be looked at
    };

    void take_bytes(std::string_view bytes);
    std::size_t parse(std::string_view bytes);
    std::size_t parse_frame(std::string_view bytes);
    /// The common case: method, header and body of a publish are whole in `bytes`. 0 if it is not that case.
    std::size_t parse_publish(std::string_view bytes, std::uint32_t method_size);
    bool header_received(std::string_view header);
    void handle_method(std::uint16_t channel, std::string_view payload);
    void handle_connection_method(const protocol::Method& method, protocol::MethodId id);
    void handle_content(std::uint16_t channel, protocol::FrameType type, std::string_view payload);
    std::size_t stream_body(std::string_view bytes);
    void read_on();
    Channel* look_for_channel(std::uint16_t number);
    ReplyTo open_question(Channel* channel, protocol::MethodId cause, Continuation then);
    void close_question(std::uint32_t number);
    void take_answer(const Question& asked, const Answer& answer);
    void confirm_first_of_unsafe();

    void start_ok(const protocol::connection::StartOk& method);
    void tune_ok(const protocol::connection::TuneOk& method);
    void open(const protocol::connection::Open& method);
    void log_in(const Login& attempt);
    void refuse_login(std::string_view mechanism, std::string_view reason);
    /// Of its user; empty if there is none of that name.
    std::string_view throttled_user() const;
    void log_in_when_due();

    // session_end.cpp
    void close_connection(protocol::ConnectionReply code, std::string_view text,
                          protocol::MethodId cause = {}, Stage next = Stage::closing);
    void close_by_client(const protocol::connection::Close& method);
    void frame_error(const std::string& text);
    void end_without_a_word();
    void fall_silent();
    void leave();
    /// As far as the open questions allow.
    void go_on_ending();
    /// Stops every channel and deletes exclusive queues, or asks for it, as far as this turn goes. True: all
    /// of it.
    bool give_up();
    /// Some of them, and others as these are answered.
    void give_up_queues();
    void say_last_word();
    /// `taken`: the peer has taken all that was written.
    void deadline_passed(bool taken);
    std::chrono::milliseconds close_timeout() const;

    // session_log.cpp
    log::Level level_of_ordinary() const;
    void say_opened() const;
    /// The first reason is the one that is told. A code and a text: of the close that was said or heard.
    void say_end(log::Level level, std::string_view why, std::uint16_t code = 0, std::string_view text = {});
    std::uint64_t delivered() const;
    /// What the handshake waits for.
    std::string_view awaited() const;

    /// On to that stage, if it may follow; who moves the octets hears of its deadline.
    bool enter(Stage next, Shard::Time deadline = SessionLife::never) {
        if (!life_.enter(next, deadline)) return false;
        touch();
        return true;
    }
    bool held() const { return gates_ != 0 && life_.stage() != Stage::closing; }
    void set_gate(Gate gate, bool shut);
    void hold_consumers();
    void log_dropped_replies();
    std::chrono::milliseconds timeout_check_interval() const;

    Shard& shard_;
    SessionHost& host_;
    const Peer peer_;
    const Shard::Time since_;  // the connection is there
    AskerId id_{};
    SessionLife life_;
    std::uint8_t gates_ = 0;
    bool parsing_ = false;
    bool full_ = false;
    bool received_ = false;  // something since the last heartbeat check
    bool blocked_sent_ = false;
    bool peer_takes_blocked_ = false;
    bool peer_takes_cancels_ = false;
    bool peer_takes_failure_ = false;
    std::uint8_t silent_checks_ = 0;
    std::uint16_t channel_max_ = 0;
    std::uint16_t heartbeat_ = 0;  // seconds; 0: none
    std::uint32_t frame_max_;
    std::uint32_t next_question_ = 0;
    std::uint64_t dropped_replies_ = 0;  // since the output had room for them
    std::uint16_t body_channel_ = 0;     // of the body frame that is being streamed
    std::uint32_t body_left_ = 0;        // its octets to come
    bool body_streaming_ = false;
    Shard::Time next_check_{};  // of the peer's silence
    Shard::Time next_heartbeat_{};
    Shard::Time next_timeout_check_{};
    Shard::Time last_sent_{};
    Vhost* vhost_ = nullptr;
    std::optional<Login> waiting_login_;
    auth::Identity identity_;
    std::string connection_name_;
    std::uint64_t published_ = 0;  // messages
    std::uint64_t delivered_ = 0;  // by channels that have been closed
    bool gives_up_queues_ = false;
    bool end_said_ = false;
    std::string tail_;
    std::string scratch_;
    Output output_;
    std::unordered_map<std::uint16_t, std::unique_ptr<Channel>> channels_;
    Channel* last_channel_ = nullptr;  // that was looked for
    std::uint16_t last_number_ = 0;    // its number
    std::vector<Channel*> confirming_;
    struct Unsafe {
        std::uint16_t channel;
        std::uint64_t serial;
        DeliveryTag tag;
    };
    std::deque<Unsafe> unsafe_;  // publishes that the disk is waited for, in order
    std::vector<QueueId> exclusive_queues_;
    std::unordered_map<std::uint32_t, Question> questions_;  // by number
    std::deque<std::function<void()>> after_answers_;
    /// What is said when all has been given up.
    struct Close {
        protocol::ConnectionReply code;
        std::string text;
        protocol::MethodId cause;
        Stage next;
    };
    struct CloseOk {};
    std::variant<std::monostate, Close, CloseOk> last_word_;  // nothing: there is nobody to hear it
};

}  // namespace trilby::broker
