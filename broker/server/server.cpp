// SPDX-License-Identifier: Apache-2.0
#include "broker/server/server.hpp"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <latch>
#include <sstream>
#include <stdexcept>

#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "broker/catalog/import.hpp"
#include "broker/definitions/import.hpp"
#include "broker/definitions/unserved.hpp"
#include "broker/log/event.hpp"
#include "broker/server/descriptors.hpp"
#include "broker/server/memory_limit.hpp"
#include "broker/server/pairing.hpp"
#include "broker/server/private_file.hpp"
#include "broker/server/reload.hpp"
#include "broker/shard/restore.hpp"
#include "protocol/quoted.hpp"

namespace trilby::broker {

namespace {

constexpr std::chrono::milliseconds watch_interval{200};
constexpr std::chrono::seconds remember_interval{5};
constexpr unsigned freed_memory_each = 25;  // watches
constexpr unsigned freed_memory_each_when_low = 5;
constexpr std::uint64_t worth_giving_back = std::uint64_t{16} << 20;
/// What is unfinished while memory is low has 10 s, if it is a good part of what may be taken.
constexpr unsigned unfinished_each = 50;  // watches
constexpr std::uint64_t least_unfinished = std::uint64_t{16} << 20;
/// After the journal has failed: its peers have a second to answer a close, and two to read it.
constexpr std::chrono::seconds longest_end{5};

/// As an operator knows it.
std::string_view name_of(int signal) {
    switch (signal) {
        case SIGTERM: return "SIGTERM";
        case SIGINT: return "SIGINT";
        case SIGHUP: return "SIGHUP";
        case SIGUSR1: return "SIGUSR1";
        case SIGUSR2: return "SIGUSR2";
        default: return "a signal";
    }
}

/// Somebody sits in front of it. Once the terminal has hung up it is none any more.
bool on_terminal() {
    return ::isatty(STDIN_FILENO) == 1 || ::isatty(STDERR_FILENO) == 1;
}

/// nohup has asked for that.
bool hang_up_is_ignored() {
    struct sigaction now {};
    return ::sigaction(SIGHUP, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

std::size_t threads_of(const Configuration& configuration) {
    return configuration.threads != 0 ? configuration.threads
                                      : default_threads(std::thread::hardware_concurrency());
}

Settings settings_of(const Configuration& configuration) {
    Settings settings = configuration;
    // There is a road for each two shards, and in the end each uses all of its ring: many have less each.
    settings.mailbox_items = std::clamp<std::size_t>(4 * settings.mailbox_items / threads_of(configuration),
                                                     1024, settings.mailbox_items);
    settings.held_memory = configuration.memory_watermark.of(memory_limit()) / 4;
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0 && host[0] != '\0')
        settings.cluster_name = fmt::format("trilby@{}", host.data());
    return settings;
}

/// Where an alarm about that much memory ends.
std::uint64_t low_mark(std::uint64_t memory) {
    return memory - memory / 20;
}

/// Where the catalog is, or will be.
std::filesystem::path checked_catalog(const DataDirectory& directory, bool accept_loss) {
    try {
        refuse_lost_catalog(directory);
    } catch (const std::runtime_error& error) {
        if (!accept_loss) throw;
        spdlog::error("accepted: {}", protocol::printable(error.what()));
        spdlog::warn("the journal is now in {}", move_journal_aside(directory).string());
    }
    return directory.catalog();
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
      on_terminal_(on_terminal()),
      directory_(configuration_.data_directory),
      store_(checked_catalog(directory_, configuration_.accept_loss)),
      settings_(settings_of(configuration_)),
      watermarks_(configuration_.memory_watermark.of(memory_limit()), configuration_.disk_watermark,
                  directory_.path()),
      background_io_([this](ShardIndex shard) { shards_[shard]->wake_if_asleep(); }),
      descriptor_limit_(raise_descriptor_limit()) {
    const std::size_t threads = threads_of(configuration_);
    std::vector<Shard*> all;
    for (std::size_t i = 0; i < threads; ++i) {
        shards_.push_back(std::make_unique<Shard>(static_cast<ShardIndex>(i), settings_, threads));
        all.push_back(shards_.back().get());
    }
    for (const auto& shard : shards_) {
        shard->connect(all);
        shard->watch(watermarks_, [this](letter::Alarm found) {
            boost::asio::post(loops_.front()->io(), [this, found] {
                found_ = {.memory = found_.memory || found.memory, .disk = found_.disk || found.disk};
                guarded([this] { look_at_watermarks(); });
            });
        });
        loops_.push_back(std::make_unique<Loop>(*shard, end_));
    }
    for (const auto& loop : loops_) end_.add(*loop);
    background_io_.start();  // while a thread can be had, or the start fails
    // Until the loop runs they wait, rather than end a broker that reads its journal.
    signals_ = std::make_unique<boost::asio::signal_set>(loops_.front()->io(), SIGUSR1, SIGUSR2);
    if (!hang_up_is_ignored()) signals_->add(SIGHUP);
    say_what_starts();
    load_catalog();
    load_journal();
    // Before anybody can know that this broker is there.
    signals_->add(SIGTERM);
    signals_->add(SIGINT);
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
        if (writable_by_others(path))
            spdlog::warn("others may write to the definitions file {}, and so decide who may log in",
                         protocol::printable(path.string()));
        const auto report = import_document(all, read_file(path));
        if (!report) throw std::runtime_error(fmt::format("{}: {}", path.string(), report.error()));
        for (const std::string& line : report->in_words())
            spdlog::info("{}: {}", protocol::printable(path.string()), protocol::printable(line));
        for (const std::string& remark : report->remarks)
            spdlog::warn("{}: {}", protocol::printable(path.string()), protocol::printable(remark));
    } else if (all.vhosts.empty()) {
        all = embedded_default();
    }
    Catalog& catalog = *shards_.front()->catalog();
    catalog.store_in(store_);
    const auto changes = import_all(all, catalog.numbers(), shards_.size());
    if (!changes)
        throw std::runtime_error(fmt::format(
            "{}: {}", configuration_.definitions.value_or(directory_.catalog()).string(), changes.error()));
    if (configuration_.definitions || store_.empty()) store_.add(all);
    for (const std::string& line : unserved_definitions(all)) spdlog::warn("{}", line);
    for (const auto& shard : shards_) shard->apply(*changes);
}

void Server::load_journal() {
    const auto open = [&] {
        journal_ = std::make_unique<journal::Journal>(directory_.journal(), shards_.size(), store_.journal());
    };
    open();
    if (const Mismatch mismatch = mismatch_of(store_, journal_->state(), journal_->damages());
        !mismatch.sentences.empty()) {
        if (!configuration_.accept_loss) refuse(mismatch, directory_.path());
        for (const std::string& sentence : mismatch.sentences)
            spdlog::error("accepted: {}", protocol::printable(sentence));
        if (mismatch.older_catalog) {
            // No number is given twice, and what has no queue any more stays readable.
            store_.catch_up(journal_->state().catalog, journal_->state().newest_queue);
            shards_.front()->catalog()->store_in(store_);
            journal_->keep_all_aside();
        }
        if (mismatch.foreign || journal_->number() == 0) {
            journal_.reset();
            spdlog::warn("the journal is now in {}", move_journal_aside(directory_).string());
            store_.remember({});
            open();
        }
    }
    for (const journal::Damage& damage : journal_->damages())
        spdlog::error("{}/{}; the rest is used", protocol::printable(directory_.journal().string()),
                      protocol::printable(to_text(damage)));
    if (configuration_.strict && !journal_->damages().empty())
        throw std::runtime_error(
            "the journal is damaged, and --strict asks not to start then; without it the rest is used");
    restore_messages();
}

void Server::restore_messages() {
    const Restored restored = restore(*journal_, shards_);
    if (restored.forgotten != 0)
        spdlog::info("{} messages of {} deleted queues are forgotten", restored.forgotten,
                     restored.deleted_queues);
    if (restored.messages != 0) spdlog::info("{} messages restored", restored.messages);
    for (std::size_t i = 0; i < shards_.size(); ++i)
        shards_[i]->bodies().spill_to(directory_.path(), background_io_, static_cast<ShardIndex>(i));
    // Recovery takes more memory than what it leaves.
    if (restored.messages != 0) ::malloc_trim(0);
}

void Server::listen() {
    const bool by_default = configuration_.listeners == Configuration{}.listeners;
    for (const Listener& listener : configuration_.listeners) {
        try {
            acceptors_.push_back(std::make_unique<Acceptor>(
                loops_.front()->io(), listener, [this] { return has_room(); },
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
    stop_deadline_.emplace(configuration_.shutdown_timeout);
    await_signal();
    watch_timer_ = std::make_unique<boost::asio::steady_timer>(io);
    watch_resources();
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of the write
    for (const auto& acceptor : acceptors_) acceptor->start();
    say_what_holds();
    spdlog::info("listening on {}", fmt::join(addresses(), ", "));

    journal_->start([this](std::size_t shard) { shards_[shard]->wake_if_asleep(); },
                    [this](const std::string& error) { journal_failed(error); });
    remember_journal(true);
    most_connections_ = most_connections(descriptor_limit_, open_descriptors(), shards_.size());
    run_shards();
    background_io_.stop();
    journal_->catalog_is_at(store_.changes());
    journal_->stop();
    if (!journal_failure_.empty())
        throw std::runtime_error(fmt::format("the journal has failed: {}", journal_failure_));
    remember_journal(true);
    log::write(log::Level::info, {.event = log::Event::broker_stopping}, "stopped");
}

void Server::say_what_starts() const {
    spdlog::info("Trilby {} starts as process {}; configuration: {}; data directory: {}", TRILBY_VERSION,
                 ::getpid(),
                 configuration_.file.empty() ? "none" : protocol::printable(configuration_.file.string()),
                 protocol::printable(directory_.path().string()));
}

void Server::say_what_holds() const {
    spdlog::info(
        "limits: {} {}, {} descriptors; publishers wait above {} MiB of memory, below {} MB of free disk",
        loops_.size(), loops_.size() == 1 ? "thread" : "threads", descriptor_limit_,
        watermarks_.memory() >> 20, configuration_.disk_watermark / 1'000'000);
    const auth::Access& access = shards_.front()->view().access();
    std::vector<std::string> near;
    for (const std::string& user : configuration_.loopback_users)
        if (access.find_user(user) != nullptr) near.push_back(protocol::quoted(user));
    spdlog::info("{} {} may log in{}{}", access.user_count(), access.user_count() == 1 ? "user" : "users",
                 near.empty() ? "" : ", from this machine only: ", fmt::join(near, ", "));
}

std::size_t Server::connections() const {
    std::size_t sum = 0;
    for (const auto& loop : loops_) sum += loop->connections();
    return sum;
}

void Server::await_signal() {
    signals_->async_wait([this](boost::system::error_code error, int signal) {
        if (error) return;
        on_signal(signal);
        await_signal();
    });
}

void Server::on_signal(int signal) {
    if (signal == SIGUSR1 || signal == SIGUSR2)
        return log::write(log::Level::info, {.event = log::Event::signal_ignored},
                          fmt::format("{} is ignored", name_of(signal)));
    if (signal == SIGHUP && !on_terminal_) return reload();
    if (stopping_)
        return log::write(log::Level::info, {.event = log::Event::signal_ignored},
                          fmt::format("{}: stopping already, {} connections are still open", name_of(signal),
                                      connections()));
    log::write(
        log::Level::info, {.event = log::Event::broker_stopping},
        fmt::format("stopping on {}; {} connections are closed with 320", name_of(signal), connections()));
    begin_stop({});
}

void Server::reload() {
    if (!reread_) return spdlog::info("SIGHUP: there is no configuration to read again");
    const spdlog::level::level_enum before = spdlog::get_level();
    const auto fresh = reread_();
    const spdlog::level::level_enum after = spdlog::get_level();
    if (!fresh)
        return spdlog::error("SIGHUP: everything stays as it is: {}", protocol::printable(fresh.error()));
    const ChangedKeys changed = take_over(configuration_, *fresh);
    spdlog::set_level(std::min(before, after));  // the answer is seen whichever way that changed
    if (changed.taken.empty() && changed.need_restart.empty()) spdlog::info("SIGHUP: nothing has changed");
    if (!changed.taken.empty()) spdlog::info("SIGHUP: changed: {}", fmt::join(changed.taken, ", "));
    if (!changed.need_restart.empty())
        spdlog::warn("SIGHUP: changed at the next start only: {}", fmt::join(changed.need_restart, ", "));
    spdlog::set_level(after);
    const auto live = std::make_shared<const LiveSettings>(configuration_);
    for (std::size_t i = 0; i < shards_.size(); ++i)
        shards_.front()->send_to(static_cast<ShardIndex>(i), letter::Reload{live});
}

void Server::run_shards() {
    // None begins before all are there: each waits for the others at the end.
    std::latch all_there(1);
    bool complete = false;
    std::vector<std::jthread> threads;
    try {
        for (std::size_t i = 1; i < loops_.size(); ++i)
            threads.emplace_back([&, loop = loops_[i].get()] {
                all_there.wait();
                if (complete) loop->run();
            });
    } catch (const std::system_error& error) {
        all_there.count_down();
        throw std::runtime_error(fmt::format("{} threads cannot be had ({}); set `threads` lower",
                                             loops_.size(), error.code().message()));
    }
    complete = true;
    all_there.count_down();
    loops_.front()->run();
}

bool Server::has_room() const {
    return connections() < most_connections_;
}

void Server::place(int socket) {
    std::size_t emptiest = 0;
    for (std::size_t i = 1; i < loops_.size(); ++i)
        if (loops_[i]->connections() < loops_[emptiest]->connections()) emptiest = i;
    if (loops_[latest_]->connections() >=
        loops_[emptiest]->connections() + configuration_.connections_together)
        latest_ = emptiest;
    try {
        shards_.front()->send_to(static_cast<ShardIndex>(latest_), letter::Adopt{socket});
        ++loops_[latest_]->connections();
    } catch (const std::exception& error) {
        ::close(socket);
        spdlog::error("a connection cannot be served: {}", error.what());
    }
}

void Server::remember_journal(bool now) {
    journal_->catalog_is_at(store_.changes());
    const journal::Remembered journal = journal_->to_remember();
    const auto time = std::chrono::steady_clock::now();
    const bool first = remembered_.sequence == 0;
    if (journal == remembered_ || (!now && !first && time < remember_again_)) return;
    remember_again_ = time + remember_interval;
    try {
        store_.remember(journal);
        remembered_ = journal;
    } catch (const std::exception& error) {
        // A lower bound stays one.
        spdlog::warn("the catalog cannot be told of the journal: {}", error.what());
    }
}

template <class Act>
void Server::guarded(Act act) {
    try {
        act();
    } catch (const std::exception& error) {
        spdlog::error("memory and disk cannot be looked at: {}", error.what());
    }
}

void Server::watch_resources() {
    guarded([this] { look_at_resources(); });
    watch_timer_->expires_after(watch_interval);
    watch_timer_->async_wait([this](boost::system::error_code error) {
        if (error) return;
        remember_journal(false);
        watch_resources();
    });
}

void Server::look_at_resources() {
    ++watches_;
    give_memory_back();
    look_at_watermarks();
    memory_is_low_ = alarm_.memory ? memory_is_low_ + 1 : 0;
    if (memory_is_low_ != 0 && memory_is_low_ % unfinished_each == 0) {
        const std::uint64_t worth =
            std::max<std::uint64_t>(least_unfinished, watermarks_.memory() / 4 / shards_.size());
        for (std::size_t i = 0; i < shards_.size(); ++i)
            shards_.front()->send_to(static_cast<ShardIndex>(i), letter::DropUnfinished{worth});
    }
}

void Server::give_memory_back() {
    if (watches_ % (alarm_.memory ? freed_memory_each_when_low : freed_memory_each) != 0) return;
    std::uint64_t enough = worth_giving_back;
    // What consumers have freed ends the alarm only when the system has it back.
    if (alarm_.memory) {
        const std::uint64_t resident = watermarks_.resident();
        enough = std::min(enough, resident - std::min(resident, low_mark(watermarks_.memory())));
    }
    freed_memory_.look(enough);
}

void Server::look_at_watermarks() {
    // Each alarm ends a little beyond where it began, so that it does not flicker.
    const bool memory_was_low = alarm_.memory || found_.memory;
    const bool disk_was_low = alarm_.disk || found_.disk;
    const std::uint64_t resident = watermarks_.memory() == 0 ? 0 : watermarks_.resident();
    const std::uint64_t high = watermarks_.memory();
    const std::uint64_t least = watermarks_.disk();
    const std::uint64_t free = least == 0 ? 0 : watermarks_.free_space();
    const letter::Alarm alarm{
        .memory = resident > (memory_was_low ? low_mark(high) : high),
        .disk = journal_->out_of_space() || free < (disk_was_low ? least + least / 20 : least)};
    if (alarm == alarm_ && !found_.raised()) return;
    if (alarm.memory && !alarm_.memory)
        spdlog::warn("memory alarm: {} MiB in use, the limit is {} MiB; publishers are blocked",
                     resident >> 20, high >> 20);
    if (!alarm.memory && alarm_.memory) spdlog::info("memory alarm cleared: {} MiB in use", resident >> 20);
    if (alarm.disk && !alarm_.disk)
        spdlog::warn("disk alarm: {} MiB free below {}; publishers are blocked",
                     watermarks_.free_space() >> 20, directory_.path().string());
    if (!alarm.disk && alarm_.disk)
        spdlog::info("disk alarm cleared: {} MiB free", watermarks_.free_space() >> 20);
    for (std::size_t i = 0; i < shards_.size(); ++i)
        shards_.front()->send_to(static_cast<ShardIndex>(i), alarm);
    alarm_ = alarm;
    found_ = {};
}

void Server::begin_stop(letter::Stop why) {
    // Who was told of an ordinary stop is told of a failure as well: some of what it waits for will not come.
    if (std::exchange(stopping_, true) && !why.journal_failed) return;
    stop_deadline_->begin(configuration_.shutdown_timeout);
    for (const auto& acceptor : acceptors_) acceptor->stop();
    watch_timer_->cancel();
    for (std::size_t i = 0; i < shards_.size(); ++i)
        shards_.front()->send_to(static_cast<ShardIndex>(i), why);
}

void Server::journal_failed(const std::string& error) {
    // What a failed sync has lost no second one brings back: only the next start can tell.
    spdlog::critical("the journal has failed, nothing more can be promised: {}", protocol::printable(error));
    journal_failure_ = error;
    stop_deadline_->begin(longest_end);
    boost::asio::post(loops_.front()->io(), [this] { begin_stop({.journal_failed = true}); });
}

void Server::stop() {
    boost::asio::post(loops_.front()->io(), [this] { begin_stop({}); });
}

}  // namespace trilby::broker
