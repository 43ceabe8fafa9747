// SPDX-License-Identifier: Apache-2.0
#include "broker/server.hpp"

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <unordered_map>

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "broker/memory_limit.hpp"
#include "broker/unserved_definitions.hpp"

namespace trilby::broker {

namespace {

constexpr std::chrono::milliseconds watch_interval{200};
constexpr unsigned freed_memory_each = 25;  // watches
/// After the journal has failed: its peers have a second to answer a close, and two to read it.
constexpr std::chrono::seconds longest_end{5};

std::size_t threads_of(const Configuration& configuration) {
    return configuration.threads != 0 ? configuration.threads
                                      : std::max(1u, std::thread::hardware_concurrency());
}

Settings settings_of(const Configuration& configuration) {
    Settings settings;
    // There is a road for each two shards, and in the end each uses all of its ring: many have less each.
    settings.mailbox_items = std::clamp<std::size_t>(4 * settings.mailbox_items / threads_of(configuration),
                                                     1024, settings.mailbox_items);
    settings.channel_max = configuration.channel_max;
    settings.frame_max = configuration.frame_max;
    settings.heartbeat = static_cast<std::uint16_t>(configuration.heartbeat.count());
    settings.max_message_size = configuration.max_message_size;
    settings.handshake_timeout = configuration.handshake_timeout;
    settings.consumer_timeout = configuration.consumer_timeout;
    settings.busy_poll = configuration.busy_poll;
    settings.loopback_users = configuration.loopback_users;
    settings.backlog_memory = configuration.backlog_memory;
    settings.server_version = configuration.server_version;
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0 && host[0] != '\0')
        settings.cluster_name = fmt::format("trilby@{}", host.data());
    return settings;
}

/// Octets that this process could still write below `path`; all there are if it cannot be told.
std::uint64_t free_space(const std::filesystem::path& path) {
    std::error_code error;
    const auto space = std::filesystem::space(path, error);
    return error ? UINT64_MAX : space.available;
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) throw std::runtime_error(fmt::format("cannot read the definitions file {}", path.string()));
    return std::move(text).str();
}

}  // namespace

Server::Server(Configuration configuration)
    : configuration_(std::move(configuration)),
      directory_(configuration_.data_directory),
      store_(directory_.catalog()),
      settings_(settings_of(configuration_)),
      background_io_([this](ShardIndex shard) { shards_[shard]->wake_if_asleep(); }) {
    const std::size_t threads = threads_of(configuration_);
    std::vector<Shard*> all;
    for (std::size_t i = 0; i < threads; ++i) {
        shards_.push_back(std::make_unique<Shard>(static_cast<ShardIndex>(i), settings_, threads));
        all.push_back(shards_.back().get());
    }
    for (const auto& shard : shards_) {
        shard->connect(all);
        loops_.push_back(std::make_unique<Loop>(*shard, end_));
    }
    for (const auto& loop : loops_) end_.add(*loop);
    load_catalog();
    load_journal();
    listen();
}

Server::~Server() {
    background_io_.stop();
    // What waits on a loop goes before it.
    watch_timer_.reset();
    signals_.reset();
    acceptors_.clear();
    loops_.clear();
    for (const auto& shard : shards_) shard->clear();
    for (const auto& shard : shards_) shard->messages().flush();
}

void Server::load_catalog() {
    Definitions all = store_.load();
    if (configuration_.definitions) {
        const std::filesystem::path& path = *configuration_.definitions;
        const auto added = parse_definitions(read_file(path));
        if (!added) throw std::runtime_error(fmt::format("{}: {}", path.string(), added.error()));
        merge(all, *added);
        spdlog::info("{}: {} vhosts, {} users, {} queues, {} bindings imported", path.string(),
                     added->vhosts.size(), added->users.size(), added->queues.size(), added->bindings.size());
    } else if (all.vhosts.empty()) {
        all = Catalog::embedded_default();
    }
    Catalog& catalog = *shards_.front()->catalog();
    catalog.store_in(store_);
    const auto changes = catalog.import(all);
    if (!changes)
        throw std::runtime_error(fmt::format(
            "{}: {}", configuration_.definitions.value_or(directory_.catalog()).string(), changes.error()));
    if (configuration_.definitions || store_.empty()) store_.add(all);
    for (const std::string& line : unserved_definitions(all)) spdlog::warn("{}", line);
    for (const auto& shard : shards_) shard->apply(*changes);
}

void Server::load_journal() {
    journal_ = std::make_unique<journal::Journal>(directory_.journal(), shards_.size());
    for (const journal::Damage& damage : journal_->damages())
        spdlog::error("{}: {} octets at {} are damaged ({}); the rest is used",
                      (directory_.journal() / journal::segment_name(damage.segment)).string(), damage.size,
                      damage.offset, damage.text);
    if (configuration_.strict && !journal_->damages().empty())
        throw std::runtime_error(
            "the journal is damaged, and --strict asks not to start then; without it the rest is used");
    std::unordered_map<journal::StoredQueue, const QueueInfo*> queues;
    shards_.front()->view().each_queue([&](const QueueInfo& queue) {
        if (queue.durable) queues.emplace(stored_id(queue.id), &queue);
    });
    std::vector<std::pair<journal::StoredQueue, journal::MessageId>> orphans;
    std::uint64_t restored = 0;
    journal_->restore([&](journal::MessageId id, const journal::Living::Holder& holder) {
        const auto found = queues.find(holder.queue);
        if (found == queues.end()) {  // it was deleted
            orphans.emplace_back(holder.queue, id);
            return;
        }
        shards_[found->second->home]->restore(found->second->id, id, holder.deliveries != 0);
        ++restored;
    });
    for (const auto& [queue, message] : orphans) journal_->forget(queue, message);
    if (restored != 0) spdlog::info("{} messages restored", restored);
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        shards_[i]->keep_in(journal_->end(i));
        shards_[i]->bodies().spill_to(directory_.path(), background_io_, static_cast<ShardIndex>(i));
    }
    // Recovery takes more memory than what it leaves.
    if (restored != 0) ::malloc_trim(0);
}

void Server::listen() {
    const bool by_default = configuration_.listeners == Configuration{}.listeners;
    for (const Listener& listener : configuration_.listeners) {
        try {
            acceptors_.push_back(std::make_unique<Acceptor>(loops_.front()->io(), listener,
                                                            [this](int socket) { place(socket); }));
        } catch (const std::runtime_error&) {
            // A machine without IPv6 has no ::1; nobody asked for it by name.
            if (!by_default || acceptors_.empty()) throw;
            spdlog::info("not listening on {}", to_text(listener));
        }
    }
}

std::vector<std::string> Server::addresses() const {
    std::vector<std::string> addresses;
    for (const auto& acceptor : acceptors_) addresses.push_back(acceptor->address());
    return addresses;
}

void Server::run() {
    boost::asio::io_context& io = loops_.front()->io();
    signals_ = std::make_unique<boost::asio::signal_set>(io, SIGTERM, SIGINT);
    signals_->async_wait([this](boost::system::error_code error, int signal) {
        if (error) return;
        spdlog::info("stopping on {}", signal == SIGINT ? "SIGINT" : "SIGTERM");
        begin_stop({});
    });
    memory_high_ = configuration_.memory_watermark.of(memory_limit());
    watch_timer_ = std::make_unique<boost::asio::steady_timer>(io);
    watch_resources();
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of the write
    for (const auto& acceptor : acceptors_) acceptor->start();
    spdlog::info("listening on {}; {} {}, publishers are blocked above {} MiB", fmt::join(addresses(), ", "),
                 loops_.size(), loops_.size() == 1 ? "thread" : "threads", memory_high_ >> 20);

    journal_->start([this](std::size_t shard) { shards_[shard]->wake_if_asleep(); },
                    [this](const std::string& error) { journal_failed(error); });
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < loops_.size(); ++i)
        threads.emplace_back([loop = loops_[i].get()] { loop->run(); });
    loops_.front()->run();
    threads.clear();
    background_io_.stop();
    journal_->stop();
    if (!journal_failure_.empty())
        throw std::runtime_error(fmt::format("the journal has failed: {}", journal_failure_));
    spdlog::info("stopped");
}

void Server::place(int socket) {
    std::size_t emptiest = 0;
    for (std::size_t i = 1; i < loops_.size(); ++i)
        if (loops_[i]->connections() < loops_[emptiest]->connections()) emptiest = i;
    if (loops_[latest_]->connections() >=
        loops_[emptiest]->connections() + configuration_.connections_together)
        latest_ = emptiest;
    ++loops_[latest_]->connections();
    shards_.front()->send_to(static_cast<ShardIndex>(latest_), letter::Adopt{socket});
}

void Server::watch_resources() {
    // What consumers have freed counts only when the system has it back.
    if (alarm_.memory) ::malloc_trim(0);
    if (++watches_ % freed_memory_each == 0) freed_memory_.look();
    letter::Alarm alarm;
    // Each ends a little beyond where it began, so that it does not flicker.
    const std::uint64_t resident = memory_high_ == 0 ? 0 : resident_memory();
    alarm.memory =
        resident > (alarm_.memory ? memory_high_ - memory_high_ / 20 : memory_high_) && memory_high_ != 0;
    const std::uint64_t low = configuration_.disk_watermark;
    const std::uint64_t free = low == 0 ? 0 : free_space(directory_.path());
    alarm.disk = journal_->out_of_space() || free < (alarm_.disk ? low + low / 20 : low);
    if (alarm != alarm_) {
        if (alarm.memory && !alarm_.memory)
            spdlog::warn("memory alarm: {} MiB in use, the limit is {} MiB; publishers are blocked",
                         resident >> 20, memory_high_ >> 20);
        if (!alarm.memory && alarm_.memory)
            spdlog::info("memory alarm cleared: {} MiB in use", resident >> 20);
        if (alarm.disk && !alarm_.disk)
            spdlog::warn("disk alarm: {} MiB free below {}; publishers are blocked",
                         free_space(directory_.path()) >> 20, directory_.path().string());
        if (!alarm.disk && alarm_.disk)
            spdlog::info("disk alarm cleared: {} MiB free", free_space(directory_.path()) >> 20);
        alarm_ = alarm;
        for (std::size_t i = 0; i < shards_.size(); ++i)
            shards_.front()->send_to(static_cast<ShardIndex>(i), alarm);
    }
    watch_timer_->expires_after(watch_interval);
    watch_timer_->async_wait([this](boost::system::error_code error) {
        if (!error) watch_resources();
    });
}

void Server::begin_stop(letter::Stop why) {
    // Who was told of an ordinary stop is told of a failure as well: some of what it waits for will not come.
    if (std::exchange(stopping_, true) && !why.journal_failed) return;
    for (const auto& acceptor : acceptors_) acceptor->stop();
    watch_timer_->cancel();
    for (std::size_t i = 0; i < shards_.size(); ++i)
        shards_.front()->send_to(static_cast<ShardIndex>(i), why);
}

void Server::journal_failed(const std::string& error) {
    // What a failed sync has lost no second one brings back: only the next start can tell.
    spdlog::critical("the journal has failed, nothing more can be promised: {}", error);
    journal_failure_ = error;
    last_moment_ = std::jthread([](std::stop_token ended) {
        std::mutex mutex;
        std::unique_lock lock(mutex);
        std::condition_variable_any().wait_for(lock, ended, longest_end, [] { return false; });
        if (!ended.stop_requested()) std::_Exit(1);
    });
    boost::asio::post(loops_.front()->io(), [this] { begin_stop({.journal_failed = true}); });
}

void Server::stop() {
    boost::asio::post(loops_.front()->io(), [this] { begin_stop({}); });
}

}  // namespace trilby::broker
