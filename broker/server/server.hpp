// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/signal_set.hpp>

#include "broker/catalog/store.hpp"
#include "broker/journal/journal.hpp"
#include "broker/net/acceptor.hpp"
#include "broker/net/loop.hpp"
#include "broker/server/configuration.hpp"
#include "broker/server/data_directory.hpp"
#include "broker/server/freed_memory.hpp"
#include "broker/server/stop_deadline.hpp"
#include "broker/shard/settings.hpp"
#include "broker/shard/shard.hpp"
#include "broker/shard/watermarks.hpp"

namespace trilby::broker {

/// The running broker: its shards with a thread each, its listeners, its watch on memory and disk. Built and
/// run by one thread, which is shard 0's while it runs.
class Server {
  public:
    /// Takes the data directory, imports definitions, binds the listeners. Throws std::runtime_error with a
    /// sentence for the operator.
    explicit Server(Configuration configuration);
    ~Server();

    /// The configuration as the operator has it now, or why there is none; called by the thread of `run` on
    /// SIGHUP. What a running broker can change of it is taken over.
    using Reread = std::function<std::expected<Configuration, std::string>()>;
    /// Before `run`.
    void reread_with(Reread reread) { reread_ = std::move(reread); }

    /// Until SIGTERM, SIGINT or `stop`, or SIGHUP on a terminal. All threads have ended afterwards. Throws
    /// std::runtime_error when the journal has failed, or a thread cannot be had. Should the end take longer
    /// than `shutdown_timeout`, the process ends with code 1.
    void run();
    /// Any thread.
    void stop();

    /// As bound: "127.0.0.1:5672".
    std::vector<std::string> addresses() const;

  private:
    void load_catalog();
    void load_journal();
    void restore_messages();
    /// The catalog is told how far the journal is: at once, or when it is time to.
    void remember_journal(bool now);
    void listen();
    bool has_room() const;
    void place(int socket);
    void run_shards();
    void watch_resources();
    void look_at_resources();
    void await_signal();
    void on_signal(int signal);
    void reload();
    void say_what_starts() const;
    void say_what_holds() const;
    std::size_t connections() const;
    void look_at_watermarks();
    void give_memory_back();
    /// What lacks for a moment is logged, and there next time.
    template <class Act>
    void guarded(Act act);
    void begin_stop(letter::Stop why);
    /// The journal's thread: nothing more can be promised, so the broker ends.
    void journal_failed(const std::string& error);

    std::optional<StopDeadline> stop_deadline_;  // while it runs; the last member to go
    Configuration configuration_;
    const bool on_terminal_;  // when it started: its end is then the broker's
    const DataDirectory directory_;
    CatalogStore store_;
    std::unique_ptr<journal::Journal> journal_;
    const Settings settings_;
    const Watermarks watermarks_;
    BackgroundIo background_io_;
    std::vector<std::unique_ptr<Shard>> shards_;
    LoopsEnd end_;
    std::vector<std::unique_ptr<Loop>> loops_;
    std::vector<std::unique_ptr<Acceptor>> acceptors_;
    std::unique_ptr<boost::asio::signal_set> signals_;
    std::unique_ptr<boost::asio::steady_timer> watch_timer_;
    const std::size_t descriptor_limit_;
    std::size_t most_connections_ = 0;
    FreedMemory freed_memory_;
    unsigned watches_ = 0;
    journal::Remembered remembered_;  // by the catalog
    std::chrono::steady_clock::time_point remember_again_;
    unsigned memory_is_low_ = 0;  // watches since it is
    std::size_t latest_ = 0;      // where the latest connection was placed
    letter::Alarm alarm_;
    letter::Alarm found_;  // by shards, which have not been answered yet
    Reread reread_;
    bool stopping_ = false;
    std::string journal_failure_;  // for others once its thread has told them, or has ended
};

}  // namespace trilby::broker
