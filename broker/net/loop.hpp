// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/uio.h>

#include "broker/net/connection.hpp"
#include "broker/net/patience.hpp"
#include "broker/shard/shard.hpp"

namespace trilby::broker {

class Loop;

/// Where the loops of a broker meet at its end: one without connections goes on answering the others until
/// all are.
class LoopsEnd {
  public:
    void add(Loop& loop);
    /// A loop has no connection left and takes no more.
    void arrive();
    bool all_arrived() const { return arrived_.load(std::memory_order_acquire) == loops_.size(); }

  private:
    std::vector<Loop*> loops_;
    std::atomic<std::size_t> arrived_{0};
};

/// The thread of a shard: an io_context driven in turns. A turn handles what the sockets have, up to a bound,
/// then the mail, then writes what all that produced and shows the other shards what was sent: one system
/// call a connection and at most one wake-up a shard, however many messages.
class Loop final : public ShardLoop, public SessionHost {
  public:
    static constexpr std::size_t read_size = std::size_t{128} << 10;

    Loop(Shard& shard, LoopsEnd& end);
    ~Loop();

    Shard& shard() { return shard_; }
    boost::asio::io_context& io() { return io_; }
    /// Until the broker stops and the last connection is gone.
    void run();
    /// Connections here or on their way here; any thread.
    std::atomic<std::size_t>& connections() { return connections_count_; }

    // ShardLoop
    void wake() override;
    // SessionHost
    void touched(Session& session) override;
    void adopt(int socket) override;
    void stopping() override;

    // ---- For connections.

    /// Of read_size octets behind `tail`. One for all, so it is filled and used up without returning to the
    /// loop.
    std::span<char> buffer(std::size_t tail);
    std::array<iovec, 1024>& vectors() { return vectors_; }
    /// How far a connection reads on while its socket fills the buffer: what leaves then leaves in fewer and
    /// larger writes.
    std::size_t read_share() const { return turn_octets_ < octets_a_turn ? read_share_ : read_size; }
    /// Reads brought so many octets. Few: nobody else is likely to have something, so what they caused
    /// leaves at once.
    void after_read(std::size_t octets);
    void forget(Session& session);
    void remove(Connection& connection);

  private:
    /// What is read in a turn and written at its end should not leave the processor's cache meanwhile.
    static constexpr std::size_t octets_a_turn = std::size_t{512} << 10;

    void turn();
    bool look_for_more();
    void share_reads();
    void write_dirty();
    void end_turn();
    void arm_wake_up();
    void arm_tick();
    void look_at_time();
    void drop_all();
    /// Null: it is not to be served. The socket is closed then, and when it throws.
    Connection* serve(int socket);
    bool finished();

    Shard& shard_;
    LoopsEnd& end_;
    boost::asio::io_context io_{1};
    boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> wake_up_;
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>,
                                      boost::asio::io_context::executor_type>
        tick_;
    int wake_fd_;
    Patience patience_;
    bool ticking_ = false;
    bool stopping_ = false;
    Shard::Time drop_at_{};     // while stopping: whoever is still there is dropped then
    bool arrived_ = false;      // at the end
    bool busy_ = false;         // the last reads were long: look for more before going on
    bool mail_before_ = false;  // the last turn had mail and nothing else
    std::size_t turn_octets_ = 0;
    std::size_t long_reads_ = 0;  // in this turn
    std::size_t read_share_ = octets_a_turn;
    std::vector<char> buffer_;
    std::array<iovec, 1024> vectors_;
    std::vector<Session*> dirty_;
    std::vector<Session*> writing_;
    std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
    std::atomic<std::size_t> connections_count_{0};
};

}  // namespace trilby::broker
