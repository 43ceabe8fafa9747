// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "client/connection.hpp"
#include "client/error.hpp"
#include "client/in_order.hpp"
#include "client/message.hpp"
#include "protocol/field_table.hpp"
#include "protocol/methods.hpp"

namespace trilby::client {

struct QueueFlags {
    bool durable = false, exclusive = false, auto_delete = false;
};

struct ExchangeFlags {
    bool durable = false, auto_delete = false;
};

/// One channel of a Connection, opened by it. When the broker closes a channel its calls fail with the
/// broker's code and text.
class Channel {
  public:
    Channel(Connection& connection, std::uint16_t number) : connection_(connection), number_(number) {}
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    std::uint16_t number() const { return number_; }

    /// The queue's name: the broker's choice when `name` is empty.
    Result<std::string> declare_queue(std::string_view name, QueueFlags flags,
                                      protocol::TableView arguments = {});
    /// Fails with 404, which closes the channel, when there is no such queue.
    Result<> check_queue(std::string_view name);
    Result<> delete_queue(std::string_view name);
    Result<> declare_exchange(std::string_view name, std::string_view type, ExchangeFlags flags);
    Result<> delete_exchange(std::string_view name);
    Result<> bind_queue(std::string_view queue, std::string_view exchange, std::string_view routing_key,
                        protocol::TableView arguments = {});

    Result<> prefetch(std::uint16_t count);
    enum class Acknowledge { automatically, by_hand };
    Result<> consume(std::string_view queue, Acknowledge acknowledge);
    /// The next message, or nothing when the deadline passed or the connection was interrupted.
    Result<std::optional<Delivery>> next_delivery(Deadline deadline);
    /// Settles the delivery and all before it.
    Result<> acknowledge_up_to(std::uint64_t delivery_tag);

    /// From here on the broker says of each publish that it has taken care of it.
    Result<> select_confirms();
    /// `properties` in wire form. May stay in memory until the next call that waits, or flush().
    Result<> publish(std::string_view exchange, std::string_view routing_key, std::string_view properties,
                     std::string_view body, bool mandatory = false);
    Result<> flush();
    /// Waits until at most `limit` publishes are unconfirmed; for ever while the broker says that it is
    /// blocked.
    Result<> await_confirms(std::size_t limit = 0);
    /// The same until the deadline at most, whether or not somebody has interrupted the connection.
    Result<> settle(Deadline deadline);
    /// Looks after the connection until the deadline; false when it was interrupted.
    Result<bool> idle_until(Deadline deadline);
    /// Since select_confirms().
    std::uint64_t published() const { return published_; }
    std::size_t unconfirmed() const { return outstanding_; }
    /// Publishes that the broker refused (basic.nack).
    std::uint64_t refused() const { return refused_; }
    std::optional<Returned> take_returned();

  private:
    friend class Connection;

    Result<> open();
    void on_method(const protocol::Method& method);
    void on_content_header(std::string_view payload);
    void on_body(std::string_view payload);
    void content_complete();
    void confirmed(std::uint64_t tag, bool multiple, bool taken);

    template <class Reply, class M>
    Result<Reply> call(const M& method);
    Result<Connection::Wait> pump(Deadline deadline, bool interruptible = false);

    Connection& connection_;
    std::uint16_t number_;
    std::optional<Error> closed_;            // why the broker closed it or took the consumer away
    std::optional<protocol::Method> reply_;  // its views point into the connection's input

    // The message being received: one of both, by what announced it.
    std::optional<Delivery> incoming_delivery_;
    std::optional<Returned> incoming_return_;
    std::uint64_t body_left_ = 0;

    std::deque<Delivery> deliveries_;
    std::deque<Returned> returned_;

    bool confirms_ = false;
    std::uint64_t published_ = 0;  // since then
    InOrder confirmed_;            // a publish's sequence number less one
    std::size_t outstanding_ = 0;  // published and not confirmed
    std::uint64_t refused_ = 0;
};

}  // namespace trilby::client
