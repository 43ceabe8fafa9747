// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <new>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "routes.hpp"

using namespace trilby::routing;
using namespace trilby::routing::testing;
using trilby::protocol::TableBuilder;
using trilby::protocol::TableView;

namespace {

std::size_t allocations = 0;  // of this program so far

void* counted(void* memory) {
    if (!memory) throw std::bad_alloc();
    ++allocations;
    return memory;
}

std::string random_words(std::mt19937_64& random, std::string_view wild) {
    std::string text = random() % 2 == 0 ? "org.fedoraproject.prod" : "io";
    for (auto words = random() % 8; words > 0; --words) {
        text += '.';
        if (!wild.empty() && random() % 3 == 0) {
            text += wild[random() % wild.size()];
        } else {
            text.append(1 + random() % 20, static_cast<char>('a' + random() % 6));
        }
    }
    return text;
}

}  // namespace

void* operator new(std::size_t size) {
    return counted(std::malloc(size));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    const auto boundary = static_cast<std::size_t>(alignment);
    return counted(std::aligned_alloc(boundary, (size + boundary - 1) / boundary * boundary));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

TEST_CASE("a route allocates nothing once the cache has its room, for whatever keys and headers") {
    const auto seed = std::random_device()();
    MESSAGE("seed ", seed);
    std::mt19937_64 random(seed);
    Table table;
    const auto topic = table.add_exchange("topic", ExchangeType::topic);
    const auto fanout = table.add_exchange("fanout", ExchangeType::fanout);
    const auto direct = table.add_exchange("direct", ExchangeType::direct);
    const auto headers = table.add_exchange("headers", ExchangeType::headers);
    table.set_alternate(topic, "headers");
    for (QueueIndex queue = 0; queue < 200; ++queue) {
        table.add_queue(std::to_string(queue), queue);
        for (int i = 0; i < 20; ++i) table.bind(topic, to_queue(queue), random_words(random, "*#"), {});
        table.bind(fanout, to_queue(queue), "", {});
        table.bind(direct, to_queue(queue), std::to_string(queue % 7), {});
        const auto arguments = TableBuilder()
                                   .integer("n", static_cast<std::int64_t>(random() % 9))
                                   .string("s", std::to_string(random() % 9))
                                   .take();
        table.bind(headers, to_queue(queue), "", TableView(arguments));
    }
    table.bind(topic, to_exchange(fanout), "io.#.a.#", {});
    std::vector<std::string> keys, tables;
    for (int i = 0; i < 20'000; ++i) keys.push_back(random_words(random, ""));
    for (int i = 0; i < 100; ++i) {
        tables.push_back(TableBuilder()
                             .integer("n", i % 9)
                             .string("s", std::to_string(random() % 9))
                             .boolean("b", true)
                             .take());
    }
    table.route(topic, keys[0], {});
    table.route(topic, keys[0], {});

    const auto before = allocations;
    std::size_t reached = 0;
    for (int pass = 0; pass < 3; ++pass) {
        for (std::size_t i = 0; i < keys.size(); ++i) {
            const auto& message_headers = tables[i % tables.size()];
            reached += table.route(topic, keys[i], message_headers).size();
            reached += table.route(topic, keys[i % 100], message_headers).size();
            reached += table.route(direct, tables[i % 7], message_headers).size();
            reached += table.route(headers, keys[i], message_headers).size();
            reached +=
                table.route_default(std::to_string(i % 10)).size();  // short enough to stay in the string
            if (i % 64 == 0) reached += table.route(fanout, keys[i], message_headers).size();
        }
    }
    CHECK(allocations == before);
    CHECK(reached > 0);
}
