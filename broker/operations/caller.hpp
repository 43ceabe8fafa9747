// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "auth/access.hpp"
#include "auth/identity.hpp"
#include "broker/catalog/view.hpp"
#include "broker/ids/ids.hpp"
#include "protocol/reply.hpp"

namespace trilby::broker {

using Refused = std::unexpected<protocol::Exception>;

inline Refused refuse(protocol::ChannelReply code, std::string text) {
    return Refused(protocol::ChannelException{code, std::move(text)});
}
inline Refused refuse(protocol::ConnectionReply code, std::string text) {
    return Refused(protocol::ConnectionException{code, std::move(text)});
}

/// Somebody who asks for an operation: who, in which virtual host, and as what connection exclusive queues
/// know them. A value for one call, good while the view does not change, on the view's thread. What is
/// refused is refused with RabbitMQ's code and text.
class Caller {
  public:
    /// `asker` 0: owns no exclusive queue.
    Caller(const auth::Identity& identity, const View& view, const Vhost& vhost, AskerId asker)
        : identity_(identity), view_(view), vhost_(vhost), asker_(asker) {}

    const std::string& user() const { return identity_.user; }
    const View& view() const { return view_; }
    const Vhost& vhost() const { return vhost_; }
    AskerId asker() const { return asker_; }

    /// 403 without the permission.
    protocol::Outcome<> may_on_queue(auth::Operation operation, std::string_view name) const {
        return may(operation, "queue", name);
    }
    /// "" is the default exchange.
    protocol::Outcome<> may_on_exchange(auth::Operation operation, std::string_view name) const {
        return may(operation, "exchange", name.empty() ? "amq.default" : name);
    }
    /// After that: is the key allowed, if it is a topic exchange?
    protocol::Outcome<> may_on_topic(const ExchangeInfo& exchange, auth::Operation operation,
                                     std::string_view key) const;

    /// 404 if there is none, 405 if it is another connection's.
    protocol::Outcome<const QueueInfo*> usable_queue(std::string_view name) const;
    /// The same of one that may be read: for basic.get, queue.purge.
    protocol::Outcome<const QueueInfo*> readable_queue(std::string_view name) const;
    /// Is it another connection's exclusive queue?
    bool is_others(const QueueInfo& queue) const { return queue.owner != AskerId{} && queue.owner != asker_; }

    Refused not_found(std::string_view kind, std::string_view name) const;
    Refused locked(std::string_view queue) const;

  private:
    protocol::Outcome<> may(auth::Operation operation, std::string_view kind, std::string_view name) const;

    const auth::Identity& identity_;
    const View& view_;
    const Vhost& vhost_;
    const AskerId asker_;
};

/// 406: what was asked would make `what` take more memory than it may.
Refused too_much(std::string_view asked, std::string_view what);
/// What View::octets is about, in that sentence.
inline constexpr std::string_view what_is_declared = "what is declared";

}  // namespace trilby::broker
