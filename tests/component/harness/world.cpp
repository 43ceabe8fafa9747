// SPDX-License-Identifier: Apache-2.0
#include "tests/component/harness/world.hpp"

#include <algorithm>
#include <array>

#include "tests/component/harness/violation.hpp"

namespace trilby::harness {

using broker::Session;
using broker::Shard;

struct World::Loop final : broker::ShardLoop {
    std::vector<Session*> dirty, writing;
    bool stopping_now = false;

    void wake() override {}
    void touched(Session& session) override {
        if (session.touched) return;
        session.touched = true;
        dirty.push_back(&session);
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

World::World(Random& random, std::size_t shards, broker::Settings settings)
    : random_(random), settings_(std::move(settings)) {
    std::vector<Shard*> all;
    for (std::size_t i = 0; i < shards; ++i) {
        shards_.push_back(std::make_unique<Shard>(static_cast<broker::ShardIndex>(i), settings_, shards));
        all.push_back(shards_.back().get());
        loops_.push_back(std::make_unique<Loop>());
        shards_.back()->set_loop(*loops_.back());
        shards_.back()->set_now(now_);
    }
    for (const auto& shard : shards_) shard->connect(all);
    // One hash of one password for all worlds: it is slow by intention.
    static const broker::ChangeSet changes = [&] {  // a password hash is slow
        broker::Definitions definitions = broker::Catalog::embedded_default();
        return shards_.front()->catalog()->import(definitions).value();
    }();
    for (const auto& shard : shards_) shard->apply(changes);
}

World::~World() {
    clear();
}

void World::clear() {
    connections_.clear();
    for (const auto& shard : shards_) shard->clear();
    for (const auto& shard : shards_) shard->messages().flush();
}

void World::connect(Peer& peer, std::size_t shard) {
    auto connection = std::make_unique<Connection>();
    connection->peer = &peer;
    connection->shard = shard;
    connection->session =
        std::make_unique<Session>(*shards_[shard], broker::Peer{"127.0.0.1", 1, "127.0.0.1", 5672});
    connection->session->host = connection.get();
    connections_.push_back(std::move(connection));
}

bool World::readable(const Connection& connection) const {
    if (!connection.session->wants_input()) return false;
    return !connection.peer->outbox.empty() || (connection.peer->cut && !connection.gone_told);
}

bool World::writable(const Connection& connection) const {
    return connection.blocked && !connection.session->output().empty();
}

bool World::runnable(std::size_t shard) const {
    if (!shards_[shard]->asleep().load()) return true;
    return std::ranges::any_of(connections_, [&](const auto& one) {
        return one->shard == shard &&
               (readable(*one) || writable(*one) || (one->peer->cut && !one->gone_told));
    });
}

bool World::turn() {
    std::array<std::size_t, 256> able;
    std::size_t count = 0;
    for (std::size_t i = 0; i < shards_.size(); ++i)
        if (runnable(i)) able[count++] = i;
    if (count == 0) return false;
    turn_of(able[random_.below(count)]);
    return true;
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
        session.on_bytes(bytes);
    } else if (peer.cut && !connection.gone_told) {
        connection.gone_told = true;
        session.on_peer_gone();
    }
    loops_[connection.shard]->touched(session);
}

void World::look(Connection& connection) {
    Session& session = *connection.session;
    session.finish_turn();
    broker::Output& output = session.output();
    if (!output.empty()) {
        std::array<iovec, 16> vectors;
        const std::size_t pieces = output.gather(vectors);
        std::string octets;
        for (std::size_t i = 0; i < pieces; ++i)
            octets.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
        if (random_.percent(40)) octets.resize(random_.between(1, octets.size()));
        output.sent(octets.size());
        session.on_output_sent(octets.size());
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
                connection.gone_told = true;
                connection.session->on_peer_gone();
                loop.touched(*connection.session);
            } else {
                read(connection);
            }
            busy = true;
        }
        if (writable(connection) && random_.percent(50)) loop.touched(*connection.session);
    }
    if (++turns_ % 64 == 0)
        for (const auto& connection : connections_)
            if (connection->shard == index) connection->session->on_tick();

    std::array<std::size_t, 256> limits;
    for (std::size_t i = 0; i < shards_.size(); ++i)
        limits[i] = random_.percent(40) ? 1000 : random_.below(4);
    if (random_.percent(60)) limits[index] = SIZE_MAX;
    if (shard.take_mail({limits.data(), shards_.size()})) busy = true;

    std::swap(loop.writing, loop.dirty);
    for (std::size_t i = 0; i < loop.writing.size(); ++i) {
        Session* session = loop.writing[i];
        if (session == nullptr) continue;
        session->touched = false;
        look(*static_cast<Connection*>(session->host));
    }
    loop.writing.clear();
    std::erase_if(connections_, [](const auto& connection) { return connection->session == nullptr; });
    shard.end_turn();

    if (busy || !loop.dirty.empty()) return;
    shard.asleep().store(true);
    if (shard.has_mail()) shard.asleep().store(false);
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
