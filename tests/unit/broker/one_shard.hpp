// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "broker/catalog/import.hpp"
#include "broker/session/session.hpp"
#include "broker/shard/shard.hpp"
#include "protocol/frame.hpp"
#include "protocol/methods.hpp"

namespace trilby::broker::test {

class OneShard;

/// A connection without a socket: what the session writes is taken while `taking`.
class Client {
  public:
    explicit Client(OneShard& broker);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    /// As if they had come from the socket; what is not read waits in front of it.
    void send(std::string_view octets);
    template <class M>
    void send(std::uint16_t channel, const M& method) {
        std::string octets;
        protocol::append_method(octets, channel, method);
        send(octets);
    }
    /// Up to an open channel 1.
    void log_in(std::uint16_t heartbeat = 0, bool takes_blocked = false);
    void publish(std::string_view queue, std::string_view body, bool mandatory = false);
    /// The methods that were written, in order, and gone from `inbox`.
    std::vector<std::string> methods();

    bool over() const { return session == nullptr; }

    bool taking = true;
    bool ended_abruptly = false;
    std::string inbox;
    std::unique_ptr<Session> session;  // null when it is over

  private:
    friend OneShard;
    void read();
    void look();
    void write();
    /// As a connection does it.
    template <class Act>
    void guard(Act act) {
        try {
            act();
        } catch (const std::exception& error) {
            session->fail(error.what());
            touch();
        }
    }
    void touch();

    OneShard& broker_;
    std::string outbox_;
};

/// A broker of one shard, without sockets, threads and a clock of its own.
class OneShard final : public ShardLoop, public SessionHost {
  public:
    explicit OneShard(Settings chosen = {});
    ~OneShard();

    /// Until there is nothing left to do.
    void settle();
    /// Time passes, in ticks.
    void wait(std::chrono::milliseconds time);
    void send_to_all(Letter letter);
    bool has_queue(const std::string& name) const {
        return shard.view().queue(*shard.view().vhost("/"), name) != nullptr;
    }

    // ShardLoop
    void wake() override {}
    void touched(Session& session) override;
    void adopt(int) override {}
    void stopping() override {}
    bool turn();

    const Settings settings;
    Shard shard;

  private:
    friend Client;
    Shard::Time now_{std::chrono::hours{1}};
    std::vector<Client*> clients_;
    std::vector<Session*> dirty_;
};

inline Client::Client(OneShard& broker) : broker_(broker) {
    session = std::make_unique<Session>(broker.shard, Peer{"127.0.0.1", 1, "127.0.0.1", 5672}, broker);
    session->host = this;
    broker.clients_.push_back(this);
}

inline void Client::touch() {
    broker_.touched(*session);
}

inline Client::~Client() {
    std::erase(broker_.clients_, this);
    if (session == nullptr) return;
    session->drop();
    std::erase(broker_.dirty_, session.get());
}

inline void Client::send(std::string_view octets) {
    outbox_ += octets;
    read();
    broker_.settle();
}

inline void Client::read() {
    if (over() || outbox_.empty() || !session->wants_input()) return;
    const std::string octets = std::string(session->tail()) + std::exchange(outbox_, {});
    guard([&] { session->on_bytes(octets); });
    broker_.touched(*session);
}

inline void Client::log_in(std::uint16_t heartbeat, bool takes_blocked) {
    protocol::TableBuilder capabilities;
    capabilities.boolean("connection.blocked", takes_blocked);
    const std::string raw = capabilities.take();
    protocol::TableBuilder table;
    table.table("capabilities", protocol::TableView(raw));
    const std::string properties = table.take();
    send(protocol::protocol_header());
    send(0, protocol::connection::StartOk{.client_properties = protocol::TableView(properties),
                                          .mechanism = "PLAIN",
                                          .response = std::string_view("\0guest\0guest", 12),
                                          .locale = "en_US"});
    send(0, protocol::connection::TuneOk{.channel_max = 2047, .frame_max = 131072, .heartbeat = heartbeat});
    send(0, protocol::connection::Open{.virtual_host = "/"});
    send(1, protocol::channel::Open{});
    inbox.clear();
}

inline void Client::publish(std::string_view queue, std::string_view body, bool mandatory) {
    std::string octets;
    protocol::append_method(octets, 1,
                            protocol::basic::Publish{.routing_key = queue, .mandatory = mandatory});
    protocol::append_content(octets, 1, body.size(), std::string_view("\0\0", 2), body, 131072);
    send(octets);
}

inline std::vector<std::string> Client::methods() {
    std::vector<std::string> names;
    std::size_t at = 0;
    while (inbox.size() - at >= protocol::frame_head_size) {
        const protocol::FrameHead head = protocol::read_frame_head(inbox.data() + at);
        if (inbox.size() - at < head.size + protocol::frame_overhead) break;
        REQUIRE(inbox[at + protocol::frame_head_size + head.size] == protocol::frame_end);
        if (head.type == static_cast<std::uint8_t>(protocol::FrameType::heartbeat))
            names.emplace_back("heartbeat");
        if (head.type == static_cast<std::uint8_t>(protocol::FrameType::method)) {
            const auto method = protocol::decode_method(
                std::string_view(inbox).substr(at + protocol::frame_head_size, head.size));
            const auto id = [](const auto& one) { return protocol::MethodId(one.id); };
            names.emplace_back(method ? protocol::method_name(std::visit(id, *method)) : "?");
        }
        at += head.size + protocol::frame_overhead;
    }
    inbox.erase(0, at);
    return names;
}

inline void Client::look() {
    guard([&] { write(); });
    if (!session->over()) return;
    ended_abruptly = session->abrupt();
    std::erase(broker_.dirty_, session.get());
    session.reset();
}

inline void Client::write() {
    session->finish_turn();
    Output& output = session->output();
    while (taking && !output.empty()) {
        std::array<iovec, 64> vectors;
        std::size_t size = 0;
        for (std::size_t i = 0, pieces = output.gather(vectors); i < pieces; ++i) {
            inbox.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
            size += vectors[i].iov_len;
        }
        output.sent(size);
        session->on_output_sent(size);
    }
}

inline OneShard::OneShard(Settings chosen) : settings(std::move(chosen)), shard(0, settings, 1) {
    shard.set_loop(*this);
    shard.set_now(now_);
    shard.connect({&shard});
    Definitions definitions = embedded_default();
    shard.apply(import_all(definitions, shard.catalog()->numbers(), 1).value());
}

inline OneShard::~OneShard() {
    shard.clear();
}

inline void OneShard::touched(Session& session) {
    if (session.touched) return;
    dirty_.push_back(&session);
    session.touched = true;
}

inline void OneShard::settle() {
    for (bool busy = true; busy;) {
        try {
            busy = turn();
        } catch (const std::exception&) {  // as a loop does it
            busy = true;
        }
    }
}

inline bool OneShard::turn() {
    bool busy = shard.take_mail();
    while (!dirty_.empty()) {
        Session* session = dirty_.back();
        dirty_.pop_back();
        session->touched = false;
        static_cast<Client*>(session->host)->look();
        busy = true;
    }
    for (Client* client : clients_) client->read();
    shard.end_turn();
    return busy || !dirty_.empty();
}

inline void OneShard::wait(std::chrono::milliseconds time) {
    constexpr std::chrono::milliseconds tick{250};
    for (; time.count() > 0; time -= tick) {
        now_ += tick;
        shard.set_now(now_);
        for (Client* client : clients_)
            if (!client->over()) client->guard([&] { client->session->on_tick(); });
        settle();
    }
}

inline void OneShard::send_to_all(Letter letter) {
    shard.send_to(0, std::move(letter));
    settle();
}

}  // namespace trilby::broker::test
