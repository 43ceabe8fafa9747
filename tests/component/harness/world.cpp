// SPDX-License-Identifier: Apache-2.0
#include "tests/component/harness/world.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "broker/catalog/import.hpp"
#include "broker/catalog/store.hpp"
#include "broker/journal/journal.hpp"
#include "broker/shard/restore.hpp"
#include "broker/storage/background_io.hpp"
#include "tests/component/harness/inside.hpp"
#include "tests/component/harness/violation.hpp"

namespace trilby::harness {

using broker::Session;
using broker::Shard;

struct World::Loop final : broker::ShardLoop, broker::SessionHost {
    std::vector<Session*> dirty, writing;
    bool stopping_now = false;

    void wake() override {}
    void touched(Session& session) override {
        if (session.touched) return;
        dirty.push_back(&session);
        session.touched = true;
    }
    void adopt(int) override { throw Violation("a socket in a world without sockets"); }
    void stopping() override { stopping_now = true; }
    void forget(Session& session) {
        for (auto* list : {&dirty, &writing})
            std::replace(list->begin(), list->end(), &session, static_cast<Session*>(nullptr));
    }
};

struct World::Connection {
    Peer* peer;
    std::size_t shard;
    std::unique_ptr<Session> session;
    bool blocked = false;  // the socket took less than it was offered
    bool gone_told = false;
};

struct World::Disk {
    Disk(const std::filesystem::path& directory, std::size_t shards,
         broker::BackgroundIo::Completed completed)
        : store(directory / "catalog.sqlite"),
          journal(directory / "journal", shards, store.journal()),
          io(std::move(completed), broker::BackgroundIo::Turns::by_hand) {}

    broker::CatalogStore store;
    broker::journal::Journal journal;
    broker::BackgroundIo io;
    bool busy = false;  // the journal has more to do
    bool ended = false;
};

namespace {

/// So small that conversations go through many.
broker::journal::WriterOptions small_segments() {
    broker::journal::WriterOptions options;
    options.segment_size = options.hasty_size = 64 << 10;
    return options;
}

}  // namespace

/// What is done for a connection, with an end for what it throws: as a connection has it.
template <class Act>
void World::guard(Connection& connection, Act act) {
    const Inside working;
    Session& session = *connection.session;
    try {
        act(session);
    } catch (const std::exception& error) {
        session.fail(error.what());
        try {
            loops_[connection.shard]->touched(session);
        } catch (const std::exception&) {
        }
    }
}

/// What a shard does by itself: as a loop has it. False: it was interrupted.
template <class Act>
bool World::try_to(Act act) {
    const Inside working;
    try {
        act();
        return true;
    } catch (const std::exception&) {
        return false;
    }
}

World::World(Random& random, std::size_t shards, broker::Settings settings,
             std::optional<std::filesystem::path> disk)
    : random_(random), settings_(std::move(settings)) {
    if (disk)
        disk_ = std::make_unique<Disk>(
            *disk, shards, [this](broker::ShardIndex shard) { shards_[shard]->wake_if_asleep(); });
    std::vector<Shard*> all;
    for (std::size_t i = 0; i < shards; ++i) {
        shards_.push_back(std::make_unique<Shard>(static_cast<broker::ShardIndex>(i), settings_, shards));
        all.push_back(shards_.back().get());
        loops_.push_back(std::make_unique<Loop>());
        shards_.back()->set_loop(*loops_.back());
        shards_.back()->set_now(now_);
    }
    for (const auto& shard : shards_) shard->connect(all);
    if (disk_ == nullptr) {
        static const broker::ChangeSet changes = [&] {  // for all worlds, of which there are thousands
            broker::Definitions definitions = broker::embedded_default();
            return broker::import_all(definitions, shards_.front()->catalog()->numbers(), shards).value();
        }();
        for (const auto& shard : shards_) shard->apply(changes);
        return;
    }
    load(disk_->store);
    require(disk_->journal.damages().empty(), "the journal is damaged");
    restored_ = broker::restore(disk_->journal, shards_).messages;
    for (std::size_t i = 0; i < shards; ++i)
        shards_[i]->bodies().spill_to(*disk, disk_->io, static_cast<broker::ShardIndex>(i));
    disk_->journal.begin([this](std::size_t shard) { shards_[shard]->wake_if_asleep(); }, small_segments());
}

void World::load(broker::CatalogStore& store) {
    broker::Definitions definitions = store.load();
    const bool fresh = definitions.vhosts.empty();
    if (fresh) definitions = broker::embedded_default();
    broker::Catalog& catalog = *shards_.front()->catalog();
    catalog.store_in(store);
    const broker::ChangeSet changes =
        broker::import_all(definitions, catalog.numbers(), shards_.size()).value();
    if (fresh) store.add(definitions);
    for (const auto& shard : shards_) shard->apply(changes);
}

World::~World() {
    clear();
}

void World::clear() {
    connections_.clear();
    for (const auto& shard : shards_) shard->clear();
    for (const auto& shard : shards_) shard->messages().flush();
    if (disk_ == nullptr || std::exchange(disk_->ended, true)) return;
    disk_->io.stop();
    disk_->journal.catalog_is_at(disk_->store.changes());
    disk_->journal.stop();
    disk_->store.remember(disk_->journal.to_remember());
}

void World::connect(Peer& peer, std::size_t shard) {
    auto connection = std::make_unique<Connection>();
    connection->peer = &peer;
    connection->shard = shard;
    connection->session = std::make_unique<Session>(
        *shards_[shard], broker::Peer{"127.0.0.1", 1, "127.0.0.1", 5672}, *loops_[shard]);
    connection->session->host = connection.get();
    connections_.push_back(std::move(connection));
}

bool World::readable(const Connection& connection) const {
    if (!connection.session->wants_input()) return false;
    return !connection.peer->outbox.empty() || (connection.peer->cut && !connection.gone_told);
}

bool World::writable(const Connection& connection) const {
    return connection.blocked && !connection.peer->stalled && !connection.session->output().empty();
}

bool World::runnable(std::size_t shard) const {
    if (!shards_[shard]->asleep().load()) return true;
    return std::ranges::any_of(connections_, [&](const auto& one) {
        return one->shard == shard &&
               (readable(*one) || writable(*one) || (one->peer->cut && !one->gone_told));
    });
}

bool World::turn() {
    if (disk_ != nullptr && random_.percent(30) && turn_of_disk()) return true;
    std::array<std::size_t, 256> able;
    std::size_t count = 0;
    for (std::size_t i = 0; i < shards_.size(); ++i)
        if (runnable(i)) able[count++] = i;
    if (count != 0) {
        turn_of(able[random_.below(count)]);
        return true;
    }
    return disk_ != nullptr && turn_of_disk();
}

bool World::turn_of_disk() {
    broker::journal::Journal& journal = disk_->journal;
    if (disk_->io.has_requests() && random_.percent(50)) return disk_->io.turn();
    if (!disk_->busy && !journal.has_news()) {
        if (disk_->io.turn()) return true;
        const auto due = journal.next_due();
        if (due == broker::Shard::Time::max()) return false;
        now_ = std::max(now_, due);  // nobody has anything to do before
    }
    disk_->busy = journal.turn(now_);
    return true;
}

void World::resume_stalled() {
    for (const auto& connection : connections_) {
        if (!std::exchange(connection->peer->stalled, false) || connection->session == nullptr) continue;
        loops_[connection->shard]->touched(*connection->session);
        shards_[connection->shard]->asleep().store(false);
    }
}

void World::rest() {
    for (std::size_t turns = 0; turn(); ++turns) require(turns < 200000, "the broker does not come to rest");
}

void World::read(Connection& connection) {
    Peer& peer = *connection.peer;
    Session& session = *connection.session;
    if (!peer.outbox.empty() && session.wants_input()) {
        const std::size_t most =
            random_.percent(30) ? peer.outbox.size() : std::min<std::size_t>(peer.outbox.size(), 200);
        const std::size_t size = random_.between(1, most);
        const std::string bytes = std::string(session.tail()) + peer.outbox.substr(0, size);
        peer.outbox.erase(0, size);
        guard(connection, [&](Session& one) {
            one.on_bytes(bytes);
            loops_[connection.shard]->touched(one);
        });
    } else if (peer.cut && !connection.gone_told) {
        tell_gone(connection);
    }
}

void World::tell_gone(Connection& connection) {
    connection.gone_told = true;
    guard(connection, [&](Session& session) {
        session.on_peer_gone();
        loops_[connection.shard]->touched(session);
    });
}

void World::look(Connection& connection) {
    Session& session = *connection.session;
    guard(connection, [](Session& one) { one.finish_turn(); });
    broker::Output& output = session.output();
    if (!output.empty() && !connection.peer->stalled) {
        std::array<iovec, 16> vectors;
        const std::size_t pieces = output.gather(vectors);
        std::string octets;
        for (std::size_t i = 0; i < pieces; ++i)
            octets.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
        if (random_.percent(40)) octets.resize(random_.between(1, octets.size()));
        guard(connection, [&](Session& one) {
            output.sent(octets.size());
            one.on_output_sent(octets.size());
        });
        if (!connection.peer->cut) connection.peer->receive(octets);
    }
    connection.blocked = !output.empty();
    if (!session.over() || (!session.abrupt() && !output.empty())) return;
    loops_[connection.shard]->forget(session);
    connection.session.reset();
    connection.peer->closed = true;
    connection.peer->on_closed();
}

void World::turn_of(std::size_t index) {
    Shard& shard = *shards_[index];
    Loop& loop = *loops_[index];
    shard.asleep().store(false);
    now_ += std::chrono::microseconds(100);
    shard.set_now(now_);
    bool busy = false;
    for (std::size_t i = 0; i < connections_.size(); ++i) {
        Connection& connection = *connections_[i];
        if (connection.shard != index) continue;
        const bool cut = connection.peer->cut && !connection.gone_told && random_.percent(20);
        if (cut) connection.peer->outbox.clear();
        if ((readable(connection) && random_.percent(50)) || cut) {
            if (cut) {  // noticed while writing: whether it would read or not
                tell_gone(connection);
            } else {
                read(connection);
            }
            busy = true;
        }
        if (writable(connection) && random_.percent(50)) loop.touched(*connection.session);
    }
    if (++turns_ % 64 == 0)
        for (const auto& connection : connections_)
            if (connection->shard == index) tick(*connection);

    std::array<std::size_t, 256> limits;
    for (std::size_t i = 0; i < shards_.size(); ++i)
        limits[i] = random_.percent(40) ? 1000 : random_.below(4);
    if (random_.percent(60)) limits[index] = SIZE_MAX;
    if (!try_to([&] {
            if (shard.take_mail({limits.data(), shards_.size()})) busy = true;
        }))
        busy = true;

    std::swap(loop.writing, loop.dirty);
    for (std::size_t i = 0; i < loop.writing.size(); ++i) {
        Session* session = loop.writing[i];
        if (session == nullptr) continue;
        session->touched = false;
        look(*static_cast<Connection*>(session->host));
    }
    loop.writing.clear();
    std::erase_if(connections_, [](const auto& connection) { return connection->session == nullptr; });
    if (!try_to([&] { shard.end_turn(); })) busy = true;

    if (busy || !loop.dirty.empty()) return;
    shard.asleep().store(true);
    if (shard.has_mail()) shard.asleep().store(false);
}

void World::pass(std::chrono::milliseconds time) {
    now_ += time;
    for (const auto& shard : shards_) {
        shard->set_now(now_);
        shard->asleep().store(false);
    }
    for (const auto& connection : connections_) tick(*connection);
}

void World::tick(Connection& connection) {
    guard(connection, [](Session& session) { session.on_tick(); });
}

void World::raise_alarm(bool raised) {
    for (std::size_t i = 0; i < shards_.size(); ++i)
        shards_.front()->send_to(static_cast<broker::ShardIndex>(i), broker::letter::Alarm{.memory = raised});
    shards_.front()->asleep().store(false);
}

void World::stop() {
    for (std::size_t i = 0; i < shards_.size(); ++i)
        shards_.front()->send_to(static_cast<broker::ShardIndex>(i), broker::letter::Stop{});
    shards_.front()->asleep().store(false);
}

std::int64_t World::messages_alive() const {
    std::int64_t alive = 0;
    for (const auto& shard : shards_) alive += shard->messages().balance();
    return alive;
}

std::int64_t World::ready(const std::string& name) {
    const broker::View& view = shards_.front()->view();
    const broker::QueueInfo* info = view.queue(*view.vhost("/"), name);
    if (info == nullptr) return -1;
    return shards_[info->home]->view().queue(info->id)->near->ready();
}

}  // namespace trilby::harness
