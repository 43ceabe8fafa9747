// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/signal_set.hpp>

#include "broker/acceptor.hpp"
#include "broker/catalog_store.hpp"
#include "broker/configuration.hpp"
#include "broker/data_directory.hpp"
#include "broker/freed_memory.hpp"
#include "broker/journal/journal.hpp"
#include "broker/loop.hpp"
#include "broker/settings.hpp"
#include "broker/shard.hpp"

namespace trilby::broker {

/// The running broker: its shards with a thread each, its listeners, its watch on memory and disk. Built and
/// run by one thread, which is shard 0's while it runs.
class Server {
  public:
    /// Takes the data directory, imports definitions, binds the listeners. Throws std::runtime_error with a
    /// sentence for the operator.
    explicit Server(Configuration configuration);
    ~Server();

    /// Until SIGTERM, SIGINT or `stop`. All threads have ended afterwards. Throws std::runtime_error when the
    /// journal has failed; should the connections not end soon after that, the process ends with code 1.
    void run();
    /// Any thread.
    void stop();

    /// As bound: "127.0.0.1:5672".
    std::vector<std::string> addresses() const;

  private:
    void load_catalog();
    void load_journal();
    void listen();
    void place(int socket);
    void watch_resources();
    void begin_stop(letter::Stop why);
    /// The journal's thread: nothing more can be promised, so the broker ends.
    void journal_failed(const std::string& error);

    std::jthread last_moment_;  // of a broker whose journal has failed; the last member to go
    const Configuration configuration_;
    const DataDirectory directory_;
    CatalogStore store_;
    std::unique_ptr<journal::Journal> journal_;
    const Settings settings_;
    BackgroundIo background_io_;
    std::vector<std::unique_ptr<Shard>> shards_;
    LoopsEnd end_;
    std::vector<std::unique_ptr<Loop>> loops_;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    std::unique_ptr<boost::asio::signal_set> signals_;
    std::unique_ptr<boost::asio::steady_timer> watch_timer_;
    std::uint64_t memory_high_ = 0;  // octets resident; 0: not watched
    FreedMemory freed_memory_;
    unsigned watches_ = 0;
    std::size_t latest_ = 0;  // where the latest connection was placed
    letter::Alarm alarm_;
    bool stopping_ = false;
    std::string journal_failure_;  // for others once its thread has told them, or has ended
};

}  // namespace trilby::broker
