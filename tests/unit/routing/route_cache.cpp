// SPDX-License-Identifier: Apache-2.0
#include "routing/route_cache.hpp"

#include <map>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "routing/topic_key.hpp"

using namespace trilby::routing;
using Change = RouteCache::Change;
using Reach = RouteCache::Reach;

namespace {

using Queues = std::vector<QueueIndex>;

class Cache {
  public:
    void offer(ExchangeIndex exchange, const std::string& key, const Queues& queues,
               Reach reach = Reach::one_exchange) {
        cache_.offer(exchange, key, hash_bytes(key), queues, reach);
    }
    void keep(ExchangeIndex exchange, const std::string& key, const Queues& queues,
              Reach reach = Reach::one_exchange) {
        offer(exchange, key, queues, reach);
        offer(exchange, key, queues, reach);
    }
    std::optional<Queues> find(ExchangeIndex exchange, const std::string& key) {
        const auto found = cache_.find(exchange, key, hash_bytes(key));
        return found ? std::optional(Queues(found->begin(), found->end())) : std::nullopt;
    }
    void change(Change change, ExchangeIndex exchange, std::string_view pattern) {
        cache_.note_change(change, exchange, pattern);
    }
    bool worthwhile(const std::string& key) const { return cache_.worthwhile(hash_bytes(key)); }

  private:
    RouteCache cache_;
};

}  // namespace

TEST_CASE("a key is kept when it is seen for the second time, for its exchange") {
    Cache cache;
    cache.offer(1, "a.b", {3, 4});
    CHECK_FALSE(cache.find(1, "a.b"));
    cache.offer(1, "a.b", {3, 4});
    CHECK(cache.find(1, "a.b") == Queues{3, 4});
    CHECK_FALSE(cache.find(2, "a.b"));
    cache.keep(1, "", {});
    CHECK(cache.find(1, "") == Queues{});
}

TEST_CASE("a change takes out the keys it fits, of its exchange, and leaves the others") {
    Cache cache;
    cache.keep(1, "a.b", {1});
    cache.keep(1, "a.c", {2});
    cache.keep(2, "a.b", {3});
    cache.keep(3, "a.b", {4}, Reach::several_exchanges);
    cache.change(Change::topic_pattern, 1, "*.b");
    CHECK_FALSE(cache.find(1, "a.b"));
    CHECK(cache.find(1, "a.c") == Queues{2});
    CHECK(cache.find(2, "a.b") == Queues{3});
    CHECK_FALSE(cache.find(3, "a.b"));  // it may depend on any exchange
    cache.offer(1, "a.b", {5});
    CHECK(cache.find(1, "a.b") == Queues{5});
    cache.change(Change::one_key, 1, "a.c");
    CHECK(cache.find(1, "a.b") == Queues{5});
    CHECK_FALSE(cache.find(1, "a.c"));
    cache.change(Change::everything, 0, "");
    CHECK_FALSE(cache.find(1, "a.b"));
    CHECK_FALSE(cache.find(2, "a.b"));
}

TEST_CASE("one pattern that changes again and again is one change, many are more than are remembered") {
    Cache cache;
    cache.keep(1, "a", {1});
    for (int i = 0; i < 60; ++i) cache.change(Change::topic_pattern, 1, "b.#");
    CHECK(cache.find(1, "a") == Queues{1});
    for (int i = 0; i < 65; ++i) cache.change(Change::topic_pattern, 1, std::to_string(i) + ".*");
    CHECK_FALSE(cache.find(1, "a"));
    cache.offer(1, "a", {2});
    cache.change(Change::topic_pattern, 1, "b.#");
    cache.change(Change::topic_pattern, 1, "#");
    cache.change(Change::topic_pattern, 1, "b.#");
    CHECK_FALSE(cache.find(1, "a"));
}

TEST_CASE("whatever is offered and changed, an answer is the last one that no change concerned") {
    const auto seed = std::random_device()();
    MESSAGE("seed ", seed);
    std::mt19937_64 random(seed);
    Cache cache;
    std::map<std::pair<ExchangeIndex, std::string>, Queues> offered;
    std::size_t found = 0;
    for (int i = 0; i < 200'000; ++i) {
        const ExchangeIndex exchange = random() % 2;
        // Some keys often, to be found; many once, to push out; long ones and wide ones to go round the ring.
        const auto number = std::to_string(random() % (random() % 2 == 0 ? 300 : 20'000));
        std::string key("k");
        key.append(random() % 3, 'x').append(1, '.').append(number);
        key.append(number.size() * number.size() * 9, 'y');
        if (random() % 4000 == 0) {
            const std::string pattern = random() % 2 == 0 ? "kx.#" : key;
            cache.change(pattern == key ? Change::one_key : Change::topic_pattern, exchange, pattern);
            std::erase_if(offered, [&](const auto& entry) {
                return entry.first.first == exchange && topic_matches(pattern, entry.first.second);
            });
        }
        if (const auto answer = cache.find(exchange, key)) {
            ++found;
            REQUIRE(offered.contains({exchange, key}));
            REQUIRE((*answer == offered[{exchange, key}]));
        } else {
            Queues queues(random() % 50 == 0 ? random() % 4000 : random() % 20);
            for (auto& queue : queues) queue = static_cast<QueueIndex>(random());
            cache.offer(exchange, key, queues);
            offered[{exchange, key}] = queues;
        }
    }
    CHECK(found > 1000);
}

TEST_CASE("while no key comes again most keys are not looked up, and when they do all are") {
    Cache cache;
    int number = 0;
    for (; number < 100'000; ++number) {
        const auto key = std::to_string(number);
        if (cache.worthwhile(key) && !cache.find(0, key)) cache.offer(0, key, {1});
    }
    int looked_up = 0, found = 0;
    for (; number < 200'000; ++number) {
        const auto key = std::to_string(number);
        if (!cache.worthwhile(key)) continue;
        ++looked_up;
        if (!cache.find(0, key)) cache.offer(0, key, {1});
    }
    CHECK(looked_up < 20'000);
    for (int i = 0; i < 600'000; ++i) {
        const auto key = std::to_string(i % 2000);
        if (!cache.worthwhile(key)) continue;
        if (cache.find(0, key)) {
            if (i >= 500'000) ++found;
        } else {
            cache.offer(0, key, {1});
        }
    }
    // About one key in eleven shares its two places with two others or more, and these push each other out.
    CHECK(found > 80'000);
}
