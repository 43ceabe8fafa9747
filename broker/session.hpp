// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/mail.hpp"
#include "broker/output.hpp"
#include "broker/shard.hpp"
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

/// The rules of one connection, without its socket: octets and time in, octets out, and calls to its shard.
/// Never throws for what a peer sends. One shard's thread.
///
/// A session that has asked something (of the catalog, of a queue's home) does not read on until it is
/// answered, so replies come in the order of requests and nothing overtakes.
class Session {
  public:
    Session(Shard& shard, Peer peer);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    ConnectionId id() const { return id_; }
    /// "127.0.0.1:50000 -> 127.0.0.1:5672", as RabbitMQ names connections.
    std::string name() const;

    // ---- For who moves the octets.

    /// What was received but not yet consumed; it must stand before the next octets.
    std::string_view tail() const { return tail_; }
    /// `bytes` begin with the tail. What is left of them is the new tail.
    void on_bytes(std::string_view bytes);
    void on_peer_gone();
    /// At least four times a second.
    void on_tick();
    /// Should the socket be read?
    bool wants_input() const { return gates_ == 0 && stage_ != Stage::over && stage_ != Stage::dropping; }
    Output& output() { return output_; }
    /// So many octets of the output were sent.
    void on_output_sent(std::size_t octets);
    /// Writes what was left for the end of the turn: confirms.
    void finish_turn();
    /// Nothing more will come in or go out but what is in the output; the socket can be closed after it, and
    /// the session destroyed.
    bool over() const { return stage_ == Stage::over && questions_.empty(); }
    /// The peer is not to be waited for: the socket is closed without a farewell.
    bool abrupt() const { return abrupt_ || peer_gone_; }

    bool touched = false;  // of the loop: it is in its list of sessions to look at
    void* host = nullptr;  // of the loop: the socket's side

    // ---- For the shard.

    void on_answer(std::uint32_t question, const Answer& answer);
    void room_made();
    void alarm_changed();
    /// The broker stops: connection.close 320, or 541 if that is because the journal has failed.
    void stop(bool journal_failed);
    Channel* find_channel(std::uint16_t number);

    // ---- For its channels.

    Shard& shard() { return shard_; }
    Vhost& vhost() { return *vhost_; }
    const std::string& user() const { return user_; }
    std::uint32_t frame_max() const { return frame_max_; }
    bool peer_takes_cancels() const { return peer_takes_cancels_; }
    bool has_ended() const { return ending_; }

    template <class M>
    void send(std::uint16_t channel, const M& method) {
        scratch_.clear();
        protocol::append_method(scratch_, channel, method);
        output_.append(scratch_);
        touch();
    }
    void touch() {
        if (!touched) shard_.touch(*this);
    }
    /// After a delivery was written.
    void check_output() {
        if (!full_ && output_.size() > shard_.settings().output_limit) hold_consumers();
    }
    bool full() const { return full_; }
    void confirm_at_end_of_turn(Channel& channel);

    using Continuation = std::function<protocol::Outcome<>(const Answer&)>;
    /// Asks, and does not read on until the answer was given to `then`. An error that it returns is raised on
    /// `channel` (null: on the connection), with `cause`.
    ReplyTo ask(Channel* channel, protocol::MethodId cause, Continuation then);
    /// Calls `then` when no question is open: at once, or after the answers to come.
    void when_answered(std::function<void()> then);
    bool waiting() const { return !questions_.empty(); }

    void raise(Channel* channel, const protocol::Exception& exception, protocol::MethodId cause);
    void own_exclusive_queue(QueueId queue) { exclusive_queues_.push_back(queue); }
    void disown_exclusive_queue(QueueId queue);
    /// A channel has been closed by both sides.
    void forget_channel(std::uint16_t number);
    /// A publish met a full road.
    void wait_for_room();
    /// Called as soon as a publish's header is seen while the alarm is on.
    void block();

  private:
    enum class Stage : std::uint8_t {
        header,  // protocol header awaited
        start_ok,
        tune_ok,
        open,
        running,
        refused,   // close 403 was sent: over at the first octets, or at the deadline
        closing,   // our close was sent, close-ok awaited
        closed,    // close-ok was sent to the peer: it is to go now
        dropping,  // silent until the deadline
        over,
    };
    enum Gate : std::uint8_t { question = 1, room = 2, alarm = 4, replies = 8 };

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

    void start_ok(const protocol::connection::StartOk& method);
    void tune_ok(const protocol::connection::TuneOk& method);
    void open(const protocol::connection::Open& method);
    void refuse_login(std::string_view mechanism, std::string_view reason);

    void close_connection(protocol::ConnectionReply code, std::string_view text,
                          protocol::MethodId cause = {}, Stage next = Stage::closing);
    void frame_error(std::string text);
    void drop_after_delay();
    /// Stops every channel and deletes exclusive queues; then `after`.
    void end(std::function<void()> after);
    void finish();
    void set_gate(Gate gate, bool shut);
    void hold_consumers();
    std::chrono::milliseconds close_timeout() const;
    std::chrono::milliseconds timeout_check_interval() const;

    Shard& shard_;
    const Peer peer_;
    ConnectionId id_{};
    Stage stage_ = Stage::header;
    std::uint8_t gates_ = 0;
    bool ending_ = false;
    bool abrupt_ = false;
    bool peer_gone_ = false;
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
    std::uint16_t body_channel_ = 0;  // of the body frame that is being streamed
    std::uint32_t body_left_ = 0;     // its octets to come
    bool body_streaming_ = false;
    Shard::Time deadline_;      // of the handshake, or of a close
    Shard::Time next_check_{};  // of the peer's silence
    Shard::Time next_heartbeat_{};
    Shard::Time next_timeout_check_{};
    Shard::Time last_sent_{};
    Vhost* vhost_ = nullptr;
    std::string user_;
    std::string connection_name_;
    std::string tail_;
    std::string scratch_;
    Output output_;
    std::unordered_map<std::uint16_t, std::unique_ptr<Channel>> channels_;
    Channel* last_channel_ = nullptr;
    std::vector<Channel*> confirming_;
    std::vector<QueueId> exclusive_queues_;
    struct Question {
        std::uint32_t number;
        std::uint16_t channel;  // 0: the connection
        protocol::MethodId cause;
        Continuation then;
    };
    std::vector<Question> questions_;
    std::vector<std::function<void()>> after_answers_;
};

}  // namespace trilby::broker
