// SPDX-License-Identifier: Apache-2.0
#include "protocol/methods.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include <doctest/doctest.h>

#include "tests/unit/protocol/random_values.hpp"

using namespace trilby::protocol;
using namespace std::literals;
using test::RandomValues;

namespace {

template <class F, class... M>
void each_alternative(std::variant<M...>*, F f) {
    (f.template operator()<M>(), ...);
}

/// f.operator()<M>() for every method M.
template <class F>
void each_method(F f) {
    each_alternative(static_cast<Method*>(nullptr), f);
}

bool same(TableView a, TableView b) {
    return a.raw() == b.raw();
}
template <class T>
bool same(const T& a, const T& b) {
    return a == b;
}

template <class M>
bool same_method(const M& a, const M& b) {
    return std::apply([&](const auto&... field) { return (same(a.*field.member, b.*field.member) && ...); },
                      M::fields);
}

template <class M>
std::string frame_of(const M& method, std::uint16_t channel = 1) {
    std::string frame;
    append_method(frame, channel, method);
    return frame;
}

std::string payload_of(const std::string& frame) {
    return frame.substr(frame_head_size, frame.size() - frame_overhead);
}

/// A copy that ends where the bytes end, so that the address sanitizer sees any step further.
std::string exact(std::string_view bytes) {
    std::string copy{bytes};
    copy.shrink_to_fit();
    return copy;
}

}  // namespace

TEST_CASE("every method comes back from the wire as it went out") {
    for (const auto seed : test::seeds) {
        CAPTURE(seed);
        RandomValues random{seed};
        each_method([&]<class M>() {
            for (int round = 0; round < 20; ++round) {
                const auto sent = random.method<M>();
                const auto payload = payload_of(frame_of(sent));
                const auto received = decode_method(payload);
                CAPTURE(M::name);
                REQUIRE(received);
                REQUIRE(std::holds_alternative<M>(*received));
                CHECK(same_method(sent, std::get<M>(*received)));
                M alone;
                CHECK(decode_arguments(std::string_view{payload}.substr(4), alone));
                CHECK(same_method(sent, alone));
            }
        });
    }
}

TEST_CASE("a method cut short at any byte is refused") {
    for (const auto seed : test::seeds) {
        CAPTURE(seed);
        RandomValues random{seed};
        each_method([&]<class M>() {
            const auto payload = payload_of(frame_of(random.method<M>()));
            for (std::size_t size = 0; size < payload.size(); ++size) {
                const auto cut = exact(std::string_view{payload}.substr(0, size));
                const auto received = decode_method(cut);
                CAPTURE(M::name);
                CAPTURE(size);
                REQUIRE(!received);
                CHECK(!received.error().unknown_method);
                CHECK(received.error().id == (size < 4 ? MethodId{} : M::id));
                CHECK(received.error().arguments == (size < 4 ? cut : cut.substr(4)));
            }
        });
    }
}

TEST_CASE("a method followed by another byte is refused") {
    RandomValues random{1};
    each_method([&]<class M>() {
        const auto payload = payload_of(frame_of(random.method<M>())) + "x";
        const auto received = decode_method(payload);
        CAPTURE(M::name);
        REQUIRE(!received);
        CHECK(!received.error().unknown_method);
        CHECK(received.error().id == M::id);
        CHECK(received.error().arguments == payload.substr(4));
    });
}

TEST_CASE("decoding whatever bytes never reads outside them") {
    for (const auto seed : test::seeds) {
        CAPTURE(seed);
        RandomValues random{seed};
        each_method([&]<class M>() {
            for (int round = 0; round < 20; ++round) {
                auto payload = exact(payload_of(frame_of(random.method<M>())));
                if (payload.size() == 4) continue;
                for (auto changes = 1 + random.below(4); changes > 0; --changes) {
                    payload[4 + random.below(payload.size() - 4)] = static_cast<char>(random.below(256));
                }
                const auto received = decode_method(payload);
                CHECK((received ? std::holds_alternative<M>(*received) : received.error().id == M::id));
                if (received) CHECK(!to_text(*received).empty());
            }
        });
    }
}

TEST_CASE("an id that no method has is told apart from arguments that cannot be read") {
    for (const auto& payload : {"\x00\x3C\x00\x29zz"s, "\x00\x3D\x00\x28zz"s, "\xFF\xFF\xFF\xFFzz"s,
                                "\x00\x00\x00\x00zz"s, "\x00\x0A\x00\x8Azz"s}) {
        const auto received = decode_method(payload);
        REQUIRE(!received);
        CHECK(received.error().unknown_method);
        CHECK(received.error().arguments == "zz");
    }
}

TEST_CASE("strings and tables of a decoded method are views into the payload") {
    const auto table = TableBuilder{}.string("x-match", "all").take();
    const auto payload = payload_of(
        frame_of(queue::Bind{.queue = "q", .routing_key = "org.example", .arguments = TableView{table}}));
    const auto inside = [&](std::string_view view) {
        return view.data() >= payload.data() && view.data() + view.size() <= payload.data() + payload.size();
    };
    const auto received = decode_method(payload);
    const auto& bind = std::get<queue::Bind>(received.value());
    CHECK(inside(bind.queue));
    CHECK(inside(bind.routing_key));
    CHECK(inside(bind.arguments.raw()));
}

TEST_CASE("methods look on the wire as RabbitMQ's clients write them") {
    CHECK(frame_of(basic::Nack{.delivery_tag = 5, .requeue = true}, 0x0102) ==
          "\x01\x01\x02\x00\x00\x00\x0D\x00\x3C\x00\x78\x00\x00\x00\x00\x00\x00\x00\x05\x02\xCE"s);
    CHECK(frame_of(connection::TuneOk{.channel_max = 2047, .frame_max = 131072, .heartbeat = 60}, 0) ==
          "\x01\x00\x00\x00\x00\x00\x0C\x00\x0A\x00\x1F\x07\xFF\x00\x02\x00\x00\x00\x3C\xCE"s);
    CHECK(frame_of(queue::Declare{.queue = "q", .durable = true, .auto_delete = true}) ==
          "\x01\x00\x01\x00\x00\x00\x0D\x00\x32\x00\x0A\x00\x00\x01q\x0A\x00\x00\x00\x00\xCE"s);
    CHECK(frame_of(exchange::UnbindOk{}) == "\x01\x00\x01\x00\x00\x00\x04\x00\x28\x00\x33\xCE"s);
    CHECK(frame_of(channel::OpenOk{}) == "\x01\x00\x01\x00\x00\x00\x08\x00\x14\x00\x0B\x00\x00\x00\x00\xCE"s);
}

TEST_CASE("a method is appended behind what is already there") {
    std::string out = "before";
    append_method(out, 7, basic::QosOk{});
    append_method(out, 7, Method{basic::RecoverOk{}});
    CHECK(out == "before" + frame_of(basic::QosOk{}, 7) + frame_of(basic::RecoverOk{}, 7));
}

TEST_CASE("a method's name is found by its ids") {
    each_method([]<class M>() { CHECK(method_name(M::id) == M::name); });
    CHECK(method_name({60, 80}) == "basic.ack");
    CHECK(method_name({40, 51}) == "exchange.unbind-ok");
    CHECK(method_name({40, 41}).empty());
    CHECK(method_name({60, 200}).empty());
    CHECK(method_name({200, 10}).empty());
    CHECK(method_name({}).empty());
}

TEST_CASE("a method as text names its fields") {
    CHECK(to_text(basic::Ack{.delivery_tag = 5}) == "basic.ack delivery-tag=5 multiple=0");
    CHECK(to_text(tx::CommitOk{}) == "tx.commit-ok");
    const auto table = TableBuilder{}.integer("x-max-length", 10).take();
    CHECK(
        to_text(queue::Bind{.queue = "q\n", .exchange = "e", .arguments = TableView{table}}) ==
        R"(queue.bind reserved-1=0 queue="q\x0a" exchange="e" routing-key="" no-wait=0 arguments={x-max-length: 10})");
}

TEST_CASE("no password appears in the text of a method") {
    for (const Method& method : {Method{connection::StartOk{.response = "geheim"}},
                                 Method{connection::SecureOk{.response = "geheim"}},
                                 Method{connection::UpdateSecret{.new_secret = "geheim"}}}) {
        CHECK(to_text(method).find("geheim") == std::string::npos);
        CHECK(to_text(method).find("(6 bytes)") != std::string::npos);
    }
}
