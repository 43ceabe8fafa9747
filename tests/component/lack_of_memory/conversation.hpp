// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/component/lack_of_memory/client.hpp"

namespace trilby::scarce {

/// Everything that a client may say, step by step. There are the durable queues `near`, on the shard of the
/// one who speaks, and `far` and `shared` on the other's, who consumes `shared`.
class Conversation {
  public:
    Conversation(Client& actor, Client& other) : actor_(actor), other_(other) {}

    /// False: all was said, or the one who speaks was closed.
    bool say_more();
    /// Was all answered as it should be?
    bool complete() const;
    /// Is the one who speaks closed, for whatever reason?
    bool over() const { return actor_.closed; }
    /// The messages that were confirmed or committed, and have to be in that queue until they are settled.
    std::set<Number> promised(const std::string& queue) const;
    bool settled(const std::string& queue, Number number) const;

  private:
    /// To a durable queue, and perhaps others.
    void publish(std::vector<std::string> queues, std::string_view exchange, std::string_view key,
                 const protocol::Properties& properties = {}, std::size_t size = 0);
    void open();
    void declare();
    void bind();
    void publish_all();
    void consume();
    void settle();
    void get();
    void transact();
    void ask_for_replies();
    void limit();
    void end();

    Client& actor_;
    Client& other_;
    unsigned step_ = 0;
    Number next_ = 1;
    std::map<Number, std::vector<std::string>> routes_;
    std::set<Number> in_transaction_;
};

}  // namespace trilby::scarce
