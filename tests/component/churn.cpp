// SPDX-License-Identifier: Apache-2.0
// The real broker with four threads and real sockets: connections, channels, queues and bindings come and go
// under load for a few seconds, then the broker is stopped in the middle of it. Under the sanitizers this is
// where races show. TRILBY_CHURN_SECONDS says how long (2).
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/server/server.hpp"
#include "protocol/frame.hpp"
#include "protocol/methods.hpp"
#include "tests/unit/broker/temporary_folder.hpp"

namespace {

namespace p = trilby::protocol;
using namespace std::string_view_literals;
using Clock = std::chrono::steady_clock;

std::atomic<std::uint64_t> published{0};
std::atomic<std::uint64_t> delivered{0};
std::atomic<std::uint64_t> confirmed{0};
std::atomic<std::uint64_t> connected{0};

/// A client that says what comes to its mind and reads what comes back, on a socket of its own.
class Client {
  public:
    Client(std::uint16_t port, std::uint32_t seed, unsigned number) : random_(seed), number_(number) {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        alive_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        out_ = p::protocol_header();
        say(0,
            p::connection::StartOk{.mechanism = "PLAIN", .response = "\0guest\0guest"sv, .locale = "en_US"});
        say(0, p::connection::TuneOk{.channel_max = 10, .frame_max = 131072, .heartbeat = 0});
        say(0, p::connection::Open{.virtual_host = "/"});
        ++connected;
    }
    ~Client() { ::close(fd_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    bool alive() const { return alive_; }

    void act() {
        for (unsigned i = 0; i < 20; ++i) one();
        flush();
        read(0);
    }

    /// connection.close, and whatever comes until its answer, or nothing but the end of the socket.
    void leave(Clock::time_point until) {
        if (random_() % 3 == 0) return;
        say(0, p::connection::Close{.reply_code = 200});
        while (alive_ && Clock::now() < until) {
            flush();
            read(20);
        }
    }

  private:
    template <class M>
    void say(std::uint16_t channel, const M& method) {
        p::append_method(out_, channel, method);
    }

    std::string queue() {
        switch (random_() % 4) {
            case 0: return fmt::format("own{}", number_);
            case 1: return fmt::format("auto{}", random_() % 4);
            case 2: return fmt::format("durable{}", random_() % 4);
            default: return fmt::format("q{}", random_() % 8);
        }
    }

    void one() {
        const auto channel = static_cast<std::uint16_t>(1 + random_() % 3);
        if (!open_[channel]) {
            open_[channel] = true;
            tags_[channel] = 0;
            say(channel, p::channel::Open{});
            if (random_() % 2 == 0) say(channel, p::confirm::Select{});
            say(channel, p::basic::Qos{.prefetch_count = static_cast<std::uint16_t>(random_() % 20),
                                       .global = random_() % 4 == 0});
            return;
        }
        const std::string name = queue();
        const bool exclusive = name.starts_with("own");
        const bool auto_delete = name.starts_with("auto");
        const bool durable = name.starts_with("durable");
        switch (random_() % 16) {
            case 0:
                say(channel, p::queue::Declare{.queue = name,
                                               .durable = durable,
                                               .exclusive = exclusive,
                                               .auto_delete = auto_delete});
                break;
            case 1:
                say(channel, p::queue::Declare{.queue = name,
                                               .durable = durable,
                                               .exclusive = exclusive,
                                               .auto_delete = auto_delete});
                say(channel, p::queue::Bind{.queue = name,
                                            .exchange = "amq.topic",
                                            .routing_key = random_() % 2 ? "a.#" : "*.b"});
                say(channel, p::basic::Consume{.queue = name, .no_ack = random_() % 4 == 0});
                break;
            case 2:
                if (random_() % 4 == 0) say(channel, p::queue::Delete{.queue = name});
                break;
            case 3: say(channel, p::basic::Get{.queue = name, .no_ack = random_() % 2 == 0}); break;
            case 4:
                if (random_() % 8 == 0) {
                    say(channel, p::channel::Close{.reply_code = 200});
                    open_[channel] = false;
                }
                break;
            case 5:
            case 6:
                if (tags_[channel] != 0) {
                    say(channel,
                        p::basic::Nack{
                            .delivery_tag = tags_[channel], .multiple = true, .requeue = random_() % 2 == 0});
                    tags_[channel] = 0;
                }
                break;
            case 7:
            case 8:
                if (tags_[channel] != 0) {
                    say(channel, p::basic::Ack{.delivery_tag = tags_[channel], .multiple = true});
                    tags_[channel] = 0;
                }
                break;
            default: {
                const bool topic = random_() % 2 == 0;
                say(channel, p::basic::Publish{.exchange = topic ? "amq.topic" : "",
                                               .routing_key = topic ? "a.b" : std::string_view(name)});
                const std::string body(random_() % 20 == 0 ? 30000 : random_() % 200, 'b');
                // Half of them persistent: what goes to a durable queue goes to the journal.
                p::append_content(out_, channel, body.size(), random_() % 2 == 0 ? "\0\0"sv : "\x10\0\2"sv,
                                  body, 131072);
                ++published;
            }
        }
    }

    void flush() {
        std::size_t at = 0;
        while (alive_ && at < out_.size()) {
            const ssize_t size = ::send(fd_, out_.data() + at, out_.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (size > 0) {
                at += static_cast<std::size_t>(size);
            } else if (errno == EAGAIN) {
                // The broker does not read: perhaps because this client does not.
                if (!read(5) && out_.size() > 8'000'000) break;
                if (++patience_ > 2000) alive_ = false;
            } else {
                alive_ = false;
            }
        }
        patience_ = 0;
        out_.erase(0, at);
    }

    bool read(int milliseconds) {
        pollfd wait{fd_, POLLIN, 0};
        if (::poll(&wait, 1, milliseconds) <= 0) return false;
        char octets[65536];
        const ssize_t size = ::recv(fd_, octets, sizeof octets, MSG_DONTWAIT);
        if (size <= 0) {
            alive_ = size < 0 && errno == EAGAIN;
            return false;
        }
        in_.append(octets, static_cast<std::size_t>(size));
        std::size_t at = 0;
        while (in_.size() - at >= p::frame_head_size) {
            const p::FrameHead head = p::read_frame_head(in_.data() + at);
            if (in_.size() - at < head.size + p::frame_overhead) break;
            if (head.type == 1)
                hear(head.channel, std::string_view(in_).substr(at + p::frame_head_size, head.size));
            at += head.size + p::frame_overhead;
        }
        in_.erase(0, at);
        return true;
    }

    void hear(std::uint16_t channel, std::string_view payload) {
        const auto method = p::decode_method(payload);
        if (!method) return;
        if (const auto* deliver = std::get_if<p::basic::Deliver>(&*method)) {
            ++delivered;
            tags_[channel] = deliver->delivery_tag;
        } else if (std::holds_alternative<p::basic::Ack>(*method)) {
            ++confirmed;
        } else if (std::holds_alternative<p::channel::Close>(*method)) {
            say(channel, p::channel::CloseOk{});
            open_[channel] = false;
        } else if (std::holds_alternative<p::connection::Close>(*method)) {
            say(0, p::connection::CloseOk{});
        }
    }

    std::minstd_rand random_;
    const unsigned number_;
    int fd_ = -1;
    bool alive_ = false;
    int patience_ = 0;
    std::string out_;
    std::string in_;
    bool open_[16] = {};
    std::uint64_t tags_[16] = {};
};

void churn(std::uint16_t port, std::uint32_t seed, unsigned number, const std::atomic<bool>& stopping) {
    std::minstd_rand random(seed);
    while (!stopping) {
        Client client(port, static_cast<std::uint32_t>(random()), number);
        for (unsigned turns = 1 + static_cast<unsigned>(random() % 60);
             turns != 0 && client.alive() && !stopping; --turns)
            client.act();
        client.leave(Clock::now() + std::chrono::seconds(5));
    }
}

}  // namespace

TEST_CASE(
    "connections, channels, queues and bindings come and go under load, and the broker stops in the middle "
    "of it") {
    const char* variable = std::getenv("TRILBY_CHURN_SECONDS");
    const std::chrono::duration<double> length(variable == nullptr ? 2.0 : std::strtod(variable, nullptr));
    const std::uint32_t seed = std::random_device{}();
    INFO("seed ", seed);
    spdlog::set_level(spdlog::level::off);
    TemporaryFolder folder;
    trilby::broker::Configuration configuration;
    configuration.listeners = {{"127.0.0.1", 0}};
    configuration.data_directory = folder.path();
    configuration.threads = 4;
    configuration.connections_together = 1;
    configuration.backlog_memory = 4096;                                 // so that backlogs are on the disk
    configuration.busy_poll = std::chrono::microseconds(seed % 2 * 50);  // both ways to wait are met
    trilby::broker::Server server(configuration);
    const std::string address = server.addresses().at(0);
    const auto port = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));

    std::atomic<bool> stopping = false;
    std::atomic<bool> stopped = false;
    {
        std::jthread broker([&] {
            server.run();
            stopped = true;
        });
        std::vector<std::jthread> clients;
        for (unsigned i = 0; i < 8; ++i) clients.emplace_back([&, i] { churn(port, seed + i, i, stopping); });
        const auto end = Clock::now() + length;
        while (Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        server.stop();
        const auto limit = Clock::now() + std::chrono::seconds(60);
        while (!stopped && Clock::now() < limit) std::this_thread::sleep_for(std::chrono::milliseconds(20));
        if (!stopped) {
            std::fputs("the broker does not stop\n", stderr);
            std::abort();  // its threads cannot be joined
        }
        stopping = true;
    }
    MESSAGE(connected.load(), " connections, ", published.load(), " published, ", delivered.load(),
            " delivered, ", confirmed.load(), " confirms");
    CHECK(connected > 8);
    CHECK(delivered > 100);
    CHECK(confirmed > 10);
}
