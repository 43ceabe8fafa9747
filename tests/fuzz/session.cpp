// SPDX-License-Identifier: Apache-2.0
// A whole connection: what a client may send, to a session on a broker of one shard. The first octet chooses:
// bit 0, with the handshake done; bit 1, the rest is not octets from the wire but choices among well-formed
// methods.
#include "broker/session/session.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <spdlog/spdlog.h>

#include "broker/catalog/import.hpp"
#include "broker/shard/shard.hpp"
#include "protocol/frame.hpp"
#include "protocol/methods.hpp"
#include "protocol/properties.hpp"
#include "tests/fuzz/require.hpp"

namespace p = trilby::protocol;
using namespace trilby::broker;
using namespace std::string_view_literals;
using trilby::fuzz::require;

namespace {

constexpr std::uint8_t after_handshake = 1;
constexpr std::uint8_t structured = 2;

struct Loop final : ShardLoop, SessionHost {
    std::vector<Session*> dirty;
    void wake() override {}
    void touched(Session& session) override {
        if (session.touched) return;
        session.touched = true;
        dirty.push_back(&session);
    }
    void adopt(int) override { require(false); }
    void stopping() override {}
};

/// What comes out must be frames that a client understands.
class Reader {
  public:
    void take(std::string_view octets) {
        inbox_ += octets;
        if (!greeted_ && inbox_.starts_with("AMQP")) inbox_.erase(0, 8);
        greeted_ = true;
        std::size_t at = 0;
        while (inbox_.size() - at >= p::frame_head_size) {
            const p::FrameHead head = p::read_frame_head(inbox_.data() + at);
            if (inbox_.size() - at < head.size + p::frame_overhead) break;
            const std::string_view payload =
                std::string_view(inbox_).substr(at + p::frame_head_size, head.size);
            require(inbox_[at + p::frame_head_size + head.size] == p::frame_end);
            require(head.type != static_cast<std::uint8_t>(p::FrameType::method) ||
                    p::decode_method(payload).has_value());
            at += head.size + p::frame_overhead;
        }
        inbox_.erase(0, at);
    }

  private:
    std::string inbox_;
    bool greeted_ = false;
};

class Broker {
  public:
    Broker() : settings_(small()), shard_(0, settings_, 1) {
        static const ChangeSet changes = [&] {  // a password hash is slow
            Definitions definitions = embedded_default();
            return import_all(definitions, shard_.catalog()->numbers(), 1).value();
        }();
        shard_.set_loop(loop_);
        shard_.set_now(now_);
        shard_.connect({&shard_});
        shard_.apply(changes);
        session_ = std::make_unique<Session>(shard_, Peer{"127.0.0.1", 1, "127.0.0.1", 5672}, loop_);
    }
    ~Broker() {
        if (session_ != nullptr) session_->on_peer_gone();
        for (int turns = 0; session_ != nullptr; ++turns) {
            turn();
            require(turns < 1000);
        }
        require(shard_.residents() == 0 && shard_.consumers() == 0);
        shard_.clear();
        require(shard_.messages().balance() == 0);
    }

    void receive(std::string_view octets) {
        while (!octets.empty() && session_ != nullptr) {
            if (!session_->wants_input()) {
                for (int turns = 0; session_ != nullptr && !session_->wants_input(); ++turns) {
                    if (turns == 100) return;  // it waits for its close to be answered, or to be dropped
                    turn();
                }
                continue;
            }
            // Parts of uneven size, so that frames are cut.
            const std::size_t size = std::min<std::size_t>(octets.size(), part_ = part_ % 97 + 41);
            const std::string bytes = std::string(session_->tail()) + std::string(octets.substr(0, size));
            octets.remove_prefix(size);
            session_->on_bytes(bytes);
            loop_.touched(*session_);
            turn();
        }
    }

    void turn() {
        now_ += std::chrono::milliseconds(100);
        shard_.set_now(now_);
        if (session_ != nullptr && ++turns_ % 8 == 0) session_->on_tick();
        shard_.take_mail();
        std::vector<Session*> dirty;
        std::swap(dirty, loop_.dirty);
        if (!dirty.empty() && session_ != nullptr) write();
        shard_.end_turn();
    }

  private:
    static Settings small() {
        Settings settings;
        settings.output_limit = 2000;
        settings.reply_limit = 4000;
        settings.max_message_size = 100000;
        return settings;
    }

    void write() {
        session_->touched = false;
        session_->finish_turn();
        Output& output = session_->output();
        std::array<iovec, 8> vectors;
        std::string octets;
        for (std::size_t i = 0, pieces = output.gather(vectors); i < pieces; ++i)
            octets.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
        octets.resize(std::min<std::size_t>(octets.size(), 1500));
        reader_.take(octets);
        output.sent(octets.size());
        if (!octets.empty()) session_->on_output_sent(octets.size());
        if (!output.empty()) loop_.touched(*session_);
        if (!session_->over() || (!session_->abrupt() && !output.empty())) return;
        std::erase(loop_.dirty, session_.get());
        session_.reset();
    }

    const Settings settings_;
    Loop loop_;
    Shard::Time now_{};
    Shard shard_;
    std::unique_ptr<Session> session_;
    Reader reader_;
    std::size_t part_ = 0;
    std::size_t turns_ = 0;
};

std::string handshake() {
    std::string octets{p::protocol_header()};
    p::append_method(
        octets, 0,
        p::connection::StartOk{.mechanism = "PLAIN", .response = "\0guest\0guest"sv, .locale = "en_US"});
    p::append_method(octets, 0, p::connection::TuneOk{.channel_max = 8, .frame_max = 4096, .heartbeat = 10});
    p::append_method(octets, 0, p::connection::Open{.virtual_host = "/"});
    p::append_method(octets, 1, p::channel::Open{});
    return octets;
}

/// Methods chosen by octets: few names and small numbers, so that what one makes the next one finds.
class Script {
  public:
    explicit Script(std::string_view choices) : choices_(choices) {}

    bool at_end() const { return choices_.empty(); }
    std::string next() {
        static constexpr std::array queues{""sv, "q"sv, "r"sv, "own"sv, "amq.rabbitmq.reply-to"sv, "none"sv};
        static constexpr std::array exchanges{
            ""sv, "amq.direct"sv, "amq.fanout"sv, "amq.topic"sv, "amq.headers"sv, "x"sv, "y"sv};
        static constexpr std::array keys{""sv, "q"sv, "r"sv, "a.b"sv, "a.*"sv, "#"sv};
        static constexpr std::array tags{""sv, "s"sv, "t"sv, "u"sv};
        static constexpr std::array types{"direct"sv, "fanout"sv, "topic"sv, "headers"sv, "other"sv};
        std::string out;
        const std::uint8_t what = octet();
        const auto channel = static_cast<std::uint16_t>(what < 230 ? 1 : octet() % 4);
        const auto say = [&](const auto& method) { p::append_method(out, channel, method); };
        const std::uint8_t bits = octet();
        const auto bit = [&](int number) { return (bits >> number & 1) != 0; };
        switch (what % 32) {
            case 0: say(p::channel::Open{}); break;
            case 1: say(p::channel::Close{.reply_code = 200}); break;
            case 2: say(p::channel::CloseOk{}); break;
            case 3:
                say(p::exchange::Declare{.exchange = of(exchanges),
                                         .type = of(types),
                                         .passive = bit(0),
                                         .auto_delete = bit(1),
                                         .internal = bit(2),
                                         .nowait = bit(3)});
                break;
            case 4:
                say(p::exchange::Delete{.exchange = of(exchanges), .if_unused = bit(0), .nowait = bit(1)});
                break;
            case 5:
                say(p::exchange::Bind{.destination = of(exchanges),
                                      .source = of(exchanges),
                                      .routing_key = of(keys),
                                      .nowait = bit(0)});
                break;
            case 6:
                say(p::exchange::Unbind{.destination = of(exchanges),
                                        .source = of(exchanges),
                                        .routing_key = of(keys),
                                        .nowait = bit(0)});
                break;
            case 7:
            case 8:
                say(p::queue::Declare{.queue = of(queues),
                                      .passive = bit(0) && bit(5),
                                      .durable = bit(1),
                                      .exclusive = bit(2),
                                      .auto_delete = bit(3),
                                      .nowait = bit(4)});
                break;
            case 9:
                say(p::queue::Delete{
                    .queue = of(queues), .if_unused = bit(0), .if_empty = bit(1), .nowait = bit(2)});
                break;
            case 10:
                say(p::queue::Bind{.queue = of(queues),
                                   .exchange = of(exchanges),
                                   .routing_key = of(keys),
                                   .nowait = bit(0)});
                break;
            case 11:
                say(p::queue::Unbind{
                    .queue = of(queues), .exchange = of(exchanges), .routing_key = of(keys)});
                break;
            case 12: say(p::queue::Purge{.queue = of(queues), .nowait = bit(0)}); break;
            case 13:
                say(p::basic::Qos{.prefetch_count = static_cast<std::uint16_t>(octet() % 5),
                                  .global = bit(0)});
                break;
            case 14:
            case 15:
                say(p::basic::Consume{.queue = of(queues),
                                      .consumer_tag = of(tags),
                                      .no_ack = bit(0),
                                      .exclusive = bit(1) && bit(2),
                                      .nowait = bit(3)});
                break;
            case 16: say(p::basic::Cancel{.consumer_tag = of(tags), .nowait = bit(0)}); break;
            case 17:
            case 18:
            case 19: publish(out, channel, of(exchanges), of(keys), bits); break;
            case 20: say(p::basic::Get{.queue = of(queues), .no_ack = bit(0)}); break;
            case 21:
            case 22: say(p::basic::Ack{.delivery_tag = octet() % 16u, .multiple = bit(0)}); break;
            case 23:
                say(p::basic::Nack{.delivery_tag = octet() % 16u, .multiple = bit(0), .requeue = bit(1)});
                break;
            case 24: say(p::basic::Reject{.delivery_tag = octet() % 16u, .requeue = bit(0)}); break;
            case 25: say(p::basic::Recover{.requeue = !bit(0) || !bit(1)}); break;
            case 26: bit(0) ? say(p::confirm::Select{.nowait = bit(1)}) : say(p::tx::Select{}); break;
            case 27: say(p::tx::Select{}); break;
            case 28: say(p::tx::Commit{}); break;
            case 29: say(p::tx::Rollback{}); break;
            case 30: say(p::basic::RecoverAsync{.requeue = true}); break;
            case 31:
                bit(0) && bit(1) && bit(2) ? p::append_method(out, 0, p::connection::Close{.reply_code = 200})
                                           : say(p::basic::CancelOk{.consumer_tag = of(tags)});
                break;
        }
        return out;
    }

  private:
    std::uint8_t octet() {
        if (choices_.empty()) return 0;
        const auto value = static_cast<std::uint8_t>(choices_.front());
        choices_.remove_prefix(1);
        return value;
    }
    template <std::size_t n>
    std::string_view of(const std::array<std::string_view, n>& names) {
        return names[octet() % n];
    }
    void publish(std::string& out, std::uint16_t channel, std::string_view exchange, std::string_view key,
                 std::uint8_t bits) {
        p::append_method(
            out, channel,
            p::basic::Publish{.exchange = exchange, .routing_key = key, .mandatory = (bits & 1) != 0});
        p::Properties properties;
        if ((bits & 2) != 0) properties.reply_to = "amq.rabbitmq.reply-to";
        if ((bits & 4) != 0) properties.expiration = "1000";
        const std::string body((bits & 8) != 0 ? octet() * 200u : octet() % 30u, 'b');
        p::append_content(out, channel, body.size(), p::encode_properties(properties), body, 4096);
    }

    std::string_view choices_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    spdlog::set_level(spdlog::level::off);
    if (size == 0) return 0;
    const std::string_view input{reinterpret_cast<const char*>(data) + 1, size - 1};
    Broker broker;
    if ((data[0] & after_handshake) != 0) broker.receive(handshake());
    if ((data[0] & structured) == 0) {
        broker.receive(input);
        return 0;
    }
    for (Script script(input); !script.at_end();) broker.receive(script.next());
    return 0;
}
