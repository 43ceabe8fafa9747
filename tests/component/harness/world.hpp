// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "broker/session/session.hpp"
#include "broker/shard/shard.hpp"
#include "tests/component/harness/peer.hpp"
#include "tests/component/harness/random.hpp"

namespace trilby::harness {

/// Several shards in one thread. Whose turn it is, how much of which road and socket arrives in it, and how
/// much a socket takes, is drawn from the seed. A shard that sleeps has no turn until it is woken, so a lost
/// wake-up shows. With a disk it has a catalog, a journal and spill files there, whose turns are drawn as
/// well.
class World {
  public:
    /// `disk`: a directory, empty or as an earlier world has left it.
    World(Random& random, std::size_t shards, broker::Settings settings,
          std::optional<std::filesystem::path> disk = {});
    ~World();

    std::size_t shards() const { return shards_.size(); }
    broker::Shard& shard(std::size_t index) { return *shards_[index]; }
    /// The peer outlives the connection.
    void connect(Peer& peer, std::size_t shard);
    /// Whoever did not read reads on.
    void resume_stalled();
    /// One turn of a shard that has something to do; false if none has.
    bool turn();
    /// Until nothing is left to do anywhere.
    void rest();
    /// Without anything happening but what is due.
    void pass(std::chrono::milliseconds time);
    void raise_alarm(bool raised);
    void stop();
    /// As after a stop: the shards give up what they hold, and what is on the disk is whole.
    void clear();

    std::size_t connections() const { return connections_.size(); }
    std::int64_t messages_alive() const;
    /// What is ready in the queue of that name; -1 if there is none.
    std::int64_t ready(const std::string& queue);

    /// Messages that were on the disk when it began.
    std::uint64_t restored() const { return restored_; }

  private:
    struct Loop;
    struct Connection;
    struct Disk;

    bool readable(const Connection& connection) const;
    bool writable(const Connection& connection) const;
    bool runnable(std::size_t shard) const;
    void turn_of(std::size_t shard);
    template <class Act>
    void guard(Connection& connection, Act act);
    template <class Act>
    bool try_to(Act act);
    void read(Connection& connection);
    void tell_gone(Connection& connection);
    void tick(Connection& connection);
    void look(Connection& connection);

    void load(broker::CatalogStore& store);
    bool turn_of_disk();

    Random& random_;
    const broker::Settings settings_;
    std::unique_ptr<Disk> disk_;  // outlives the shards
    broker::Shard::Time now_{};
    std::uint64_t turns_ = 0;
    std::vector<std::unique_ptr<broker::Shard>> shards_;
    std::vector<std::unique_ptr<Loop>> loops_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::uint64_t restored_ = 0;
};

}  // namespace trilby::harness
