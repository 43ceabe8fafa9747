// SPDX-License-Identifier: Apache-2.0
// What one message costs protocol/: a publish as Fedora's publishers send it, and the delivery made of it.
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include <benchmark/benchmark.h>

#include "protocol/frame.hpp"
#include "protocol/methods.hpp"
#include "protocol/properties.hpp"

using namespace trilby::protocol;

namespace {

constexpr std::string_view key = "org.fedoraproject.prod.buildsys.build.state.change";
constexpr std::string_view body =
    R"({"build_id": 2009, "name": "trilby", "old": 0, "new": 1, "owner": "releng"})";

std::string header_table() {
    return TableBuilder{}
        .string("fedora_messaging_schema", "koji_fedoramessaging.build.BuildStateV1")
        .integer("fedora_messaging_severity", 20)
        .boolean("fedora_messaging_rpm_trilby", true)
        .boolean("fedora_messaging_user_releng", true)
        .string("priority", "low")
        .string("sent-at", "2009-09-16T12:00:00+00:00")
        .take();
}

std::string property_bytes() {
    const auto headers = header_table();
    return encode_properties({.content_type = "application/json",
                              .content_encoding = "utf-8",
                              .headers = TableView{headers},
                              .delivery_mode = 2,
                              .priority = 0,
                              .message_id = "7d3f4a52-6c1b-4f0e-9a57-3d2b1c0e5f64"});
}

template <class M>
std::string payload_of(const M& method) {
    std::string frame;
    append_method(frame, 1, method);
    return frame.substr(frame_head_size, frame.size() - frame_overhead);
}

/// A benchmark of wrong results is worth nothing.
void require(bool holds) {
    if (!holds) std::abort();
}

void walk_publishes(benchmark::State& state) {
    constexpr int publishes = 100;
    std::string stream;
    for (int i = 0; i < publishes; ++i) {
        append_method(stream, 1, basic::Publish{.exchange = "amq.topic", .routing_key = key});
        append_content(stream, 1, body.size(), property_bytes(), body, 131072);
    }
    for (auto _ : state) {
        int seen = 0;
        std::string_view input = stream;
        while (input.size() >= frame_overhead) {
            const auto head = read_frame_head(input.data());
            const auto payload = input.substr(frame_head_size, head.size);
            if (head.type == 1) {
                const auto method = decode_method(payload);
                seen += std::get<basic::Publish>(*method).routing_key.size() == key.size();
            } else if (head.type == 2) {
                benchmark::DoNotOptimize(decode_content_header(payload));
            }
            input.remove_prefix(frame_overhead + head.size);
        }
        require(seen == publishes);
    }
    state.SetItemsProcessed(state.iterations() * publishes);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(stream.size()));
}
BENCHMARK(walk_publishes);

void decode_publish(benchmark::State& state) {
    const auto payload = payload_of(basic::Publish{.exchange = "amq.topic", .routing_key = key});
    for (auto _ : state) {
        const auto method = decode_method(payload);
        benchmark::DoNotOptimize(method);
        require(method.has_value());
    }
}
BENCHMARK(decode_publish);

void decode_publish_arguments(benchmark::State& state) {
    const auto payload = payload_of(basic::Publish{.exchange = "amq.topic", .routing_key = key});
    for (auto _ : state) {
        basic::Publish publish;
        require(decode_arguments(std::string_view{payload}.substr(4), publish));
        benchmark::DoNotOptimize(publish);
    }
}
BENCHMARK(decode_publish_arguments);

void decode_ack(benchmark::State& state) {
    const auto payload = payload_of(basic::Ack{.delivery_tag = 5});
    for (auto _ : state) {
        const auto method = decode_method(payload);
        benchmark::DoNotOptimize(method);
        require(method.has_value());
    }
}
BENCHMARK(decode_ack);

void write_delivery(benchmark::State& state) {
    const auto properties = property_bytes();
    constexpr int deliveries = 100;
    std::string out;
    for (auto _ : state) {
        out.clear();
        for (std::uint64_t tag = 1; tag <= deliveries; ++tag) {
            append_method(out, 1,
                          basic::Deliver{.consumer_tag = "amq.ctag-abcdefghijklmnopqrstuv",
                                         .delivery_tag = tag,
                                         .exchange = "amq.topic",
                                         .routing_key = key});
            append_content(out, 1, body.size(), properties, body, 131072);
        }
        benchmark::DoNotOptimize(out.data());
    }
    state.SetItemsProcessed(state.iterations() * deliveries);
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}
BENCHMARK(write_delivery);

void write_ack(benchmark::State& state) {
    std::string out;
    for (auto _ : state) {
        out.clear();
        for (std::uint64_t tag = 1; tag <= 100; ++tag) append_method(out, 1, basic::Ack{.delivery_tag = tag});
        benchmark::DoNotOptimize(out.data());
    }
    state.SetItemsProcessed(state.iterations() * 100);
}
BENCHMARK(write_ack);

void read_properties(benchmark::State& state) {
    const auto bytes = property_bytes();
    for (auto _ : state) {
        const auto properties = decode_properties(bytes);
        benchmark::DoNotOptimize(properties);
        require(properties.has_value());
    }
}
BENCHMARK(read_properties);

void write_properties(benchmark::State& state) {
    const auto bytes = property_bytes();
    const auto properties = decode_properties(bytes);
    for (auto _ : state) {
        const auto written = encode_properties(*properties);
        require(written.size() == bytes.size());
    }
}
BENCHMARK(write_properties);

void validate_table(benchmark::State& state) {
    const auto raw = header_table();
    for (auto _ : state) require(valid_table(raw));
}
BENCHMARK(validate_table);

void iterate_table(benchmark::State& state) {
    const auto raw = header_table();
    for (auto _ : state) {
        std::size_t bytes = 0;
        for (const auto& field : TableView{raw}) bytes += field.value.bytes.size();
        benchmark::DoNotOptimize(bytes);
    }
}
BENCHMARK(iterate_table);

void find_last_field(benchmark::State& state) {
    const auto raw = header_table();
    for (auto _ : state) require(TableView{raw}.find("sent-at").has_value());
}
BENCHMARK(find_last_field);

void find_absent_field(benchmark::State& state) {
    const auto raw = header_table();
    for (auto _ : state) require(!TableView{raw}.find("CC").has_value());
}
BENCHMARK(find_absent_field);

}  // namespace

BENCHMARK_MAIN();
