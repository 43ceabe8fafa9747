// SPDX-License-Identifier: Apache-2.0
#include "broker/storage/bodies.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "broker/message/content.hpp"
#include "protocol/byte_order.hpp"
#include "tests/unit/broker/random_seed.hpp"
#include "tests/unit/broker/temporary_folder.hpp"

using namespace trilby::broker;

namespace {

constexpr journal::StoredQueue queue = 7;

/// A message to the queue `q`, through the default exchange.
void fill(Content& content, const std::string& body) {
    content.begin(std::string_view("\0\1q", 3), 0);
    std::string header(14, '\0');
    trilby::protocol::store_big_endian(header.data(), std::uint16_t{60});
    trilby::protocol::store_big_endian(header.data() + 4, std::uint64_t{body.size()});
    content.header(header, static_cast<std::uint32_t>(body.size()));
    if (!body.empty()) content.body(body);
}

/// One shard's bodies with nothing in memory, a journal, and a map of what they should hold.
class Shelf {
  public:
    explicit Shelf(std::uint32_t seed, std::uint64_t memory = 0)
        : bodies_(new_bodies(memory)), random_(seed) {
        messages_.know({&messages_});
        journal_.start([](std::size_t) {}, [](const std::string&) { std::abort(); });
    }
    ~Shelf() {
        for (const auto& [number, held] : held_) bodies_->drop(held.kept);
        journal_.stop();
        io_.stop();
        messages_.flush();
    }

    journal::End& end() { return journal_.end(0); }
    Bodies& bodies() { return *bodies_; }
    std::size_t held() const { return held_.size(); }
    std::int64_t in_memory() const { return messages_.balance(); }
    std::uint32_t random(std::uint32_t below) { return random_() % below; }

    /// Keeps a message of so many octets, persistent or not, for so many queues. `between`: is called after
    /// each.
    void keep(
        std::uint32_t size, bool persistent, int queues = 1, const std::function<void()>& between = [] {}) {
        Content content;
        fill(content, body_of(next_, size));
        const std::uint64_t stored =
            persistent ? end().publish(std::span(&queue, 1), content.publication()) : 0;
        Arrival arrival(content.publication(), messages_, stored);
        const std::uint64_t number = next_;
        for (int i = 0; i < queues; ++i) {
            held_.emplace(next_++, Held{bodies_->keep(arrival, true, false), size, number});
            between();
        }
        end().flush();
    }
    /// Reads what was kept `offset` places behind the oldest, and compares. False: it is lost.
    bool read(std::size_t offset) {
        const Held& held = std::next(held_.begin(), static_cast<std::ptrdiff_t>(offset))->second;
        const std::uint64_t number = held.number;
        if (held.kept.in_memory()) {
            REQUIRE(held.kept.message()->publication().body() == body_of(number, held.size));
            return true;
        }
        for (;;) {
            const auto found = bodies_->read(held.kept);
            if (found) {
                REQUIRE(found->body_size == held.size);
                REQUIRE(found->body() == body_of(number, held.size));
                REQUIRE(found->routing_key() == "q");
                return true;
            }
            if (found.error() == Bodies::Missing::lost) return false;
            ++waits_;
            for (int patience = 0; !bodies_->moved(); ++patience) {
                REQUIRE(patience < 100'000);
                std::this_thread::sleep_for(std::chrono::microseconds(100));
            }
            bodies_->look();
        }
    }
    void drop(std::size_t offset) {
        const auto at = std::next(held_.begin(), static_cast<std::ptrdiff_t>(offset));
        if (const std::uint64_t stored = at->second.kept.stored_id(); stored != 0) {
            end().settle(queue, stored);
            end().flush();
        }
        bodies_->drop(at->second.kept);
        held_.erase(at);
    }
    /// All that is held goes to another shard, which has so much memory for it.
    void move(std::uint64_t memory) {
        std::unique_ptr<Bodies> next = new_bodies(memory);
        for (auto& [number, held] : held_) {
            bodies_->hand_over(held.kept);
            held.kept = next->take_over(held.kept, true);
        }
        bodies_ = std::move(next);
    }
    /// Until the journal has written what was handed over, and the spill what was spilled.
    void settle_down() {
        while (end().safe_publishes() != end().publish_position())
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        bodies_->look();
    }
    /// The system forgets what it has read of the journal.
    void forget_cached() const {
        for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "journal")) {
            const int file = ::open(entry.path().c_str(), O_RDONLY);
            ::fdatasync(file);
            ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
            ::close(file);
        }
    }
    std::size_t waits() const { return waits_; }
    /// Nothing is written any more until the lock goes.
    std::unique_lock<std::mutex> stop_disk() { return std::unique_lock(disk_); }
    std::filesystem::path journal() const { return folder_.path() / "journal"; }

  private:
    struct Held {
        Kept kept;
        std::uint32_t size;
        std::uint64_t number;  // of the message
    };
    std::unique_ptr<Bodies> new_bodies(std::uint64_t memory) {
        auto bodies = std::make_unique<Bodies>(messages_, Bodies::Limits{memory, 3});
        bodies->read_from(end());
        bodies->spill_to(folder_.path(), io_, 0);
        return bodies;
    }
    static std::string body_of(std::uint64_t number, std::uint32_t size) {
        std::string body(size, static_cast<char>('a' + number % 26));
        for (std::size_t at = 0; at + 8 <= body.size(); at += 512)
            trilby::protocol::store_big_endian(body.data() + at, number * 0x9E3779B97F4A7C15 + at);
        return body;
    }

    TemporaryFolder folder_;
    MessagePool messages_{0};
    std::mutex disk_;
    BackgroundIo io_{[this](ShardIndex) { const std::lock_guard wait(disk_); }};
    journal::Journal journal_{folder_.path() / "journal", 1, {}};
    std::unique_ptr<Bodies> bodies_;
    std::map<std::uint64_t, Held> held_;
    std::uint64_t next_ = 0;
    std::size_t waits_ = 0;
    test::Random random_;
};

}  // namespace

TEST_CASE("what is not in memory is read back as it was, in any order, while space is used again") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    Shelf shelf(seed);
    const auto any_size = [&]() -> std::uint32_t {
        switch (shelf.random(20)) {
            case 0: return 0;
            case 1: return 60'000 + shelf.random(12'000);    // about a block
            case 2: return 100'000 + shelf.random(200'000);  // several
            default: return shelf.random(3'000);
        }
    };
    for (int step = 0; step < 25'000; ++step) {
        shelf.keep(any_size(), shelf.random(2) == 0);
        // Mostly the oldest go; some stay for good, so that the journal has to move them.
        while (shelf.held() > 400) {
            const std::size_t offset = shelf.random(10) == 0 ? shelf.random(400) : 20 + shelf.random(20);
            REQUIRE(shelf.read(offset));
            shelf.drop(offset);
        }
        if (step % 16 == 0) REQUIRE(shelf.read(shelf.random(static_cast<std::uint32_t>(shelf.held()))));
    }
    for (std::size_t offset = 0; offset < shelf.held(); ++offset) REQUIRE(shelf.read(offset));
    // A spill that is behind takes no more for a while.
    CHECK(shelf.in_memory() < 200);
}

TEST_CASE("a shard does not wait for the disk: it asks for what is not in the system's cache") {
    Shelf shelf(1);
    for (int i = 0; i < 2'000; ++i) shelf.keep(1'000, true);
    shelf.settle_down();
    shelf.forget_cached();
    for (std::size_t offset = 0; offset < shelf.held(); ++offset) REQUIRE(shelf.read(offset));
    // A file system in memory has everything at hand.
    if (shelf.waits() == 0) MESSAGE("the system had everything in its cache; nothing was waited for");
}

TEST_CASE("messages stay in memory up to the budget") {
    Shelf shelf(1, 100'000);
    for (int i = 0; i < 1'000; ++i) shelf.keep(1'000, i % 2 == 0);
    CHECK(shelf.in_memory() >= 90);
    CHECK(shelf.in_memory() <= 100);
    for (std::size_t offset = 0; offset < shelf.held(); ++offset) REQUIRE(shelf.read(offset));
    while (shelf.held() != 0) shelf.drop(0);
    CHECK(shelf.in_memory() == 0);
    shelf.keep(1'000, false);
    CHECK(shelf.in_memory() == 1);
}

TEST_CASE("a message that many queues keep is spilled once") {
    Shelf shelf(1);
    shelf.keep(100'000, false, 1'000);
    CHECK(shelf.held() == 1'000);
    CHECK(shelf.in_memory() == 0);
    CHECK(shelf.bodies().taken() < 200'000);
    for (std::size_t offset = 0; offset < shelf.held(); ++offset) REQUIRE(shelf.read(offset));
    while (shelf.held() != 1) shelf.drop(shelf.random(static_cast<std::uint32_t>(shelf.held())));
    CHECK(shelf.read(0));
    // A queue may have handed it out before the next one gets it.
    bool others_come = false;
    const auto hand_out = [&] {
        shelf.drop(shelf.held() - 1);
        if (std::exchange(others_come, !others_come)) shelf.keep(shelf.random(100'000), false);
    };
    for (int i = 0; i < 100; ++i) {
        shelf.keep(shelf.random(100'000), false, 5, hand_out);
        for (std::size_t offset = 0; offset < shelf.held(); ++offset) REQUIRE(shelf.read(offset));
    }
}

TEST_CASE("a spill's file has no ends of blocks that were never written") {
    // Each would be a piece of its own, which takes the file system its time when the file is freed.
    const TemporaryFolder folder;
    std::atomic<std::uint32_t> completed{0};
    BackgroundIo io([](ShardIndex) {}, BackgroundIo::Turns::by_hand);
    BlockCache cache(1);
    Spill spill(folder.path(), io, 0, completed, cache);
    std::uint64_t last = 0;
    for (const std::uint32_t size : {100'000, 10, 70'000, 40'000, 40'000, 10, 200'000, 65'000}) {
        Content content;
        fill(content, std::string(size, 'x'));
        const auto spilled = spill.add(content.publication());
        REQUIRE(spilled);
        last = std::max(last, Spill::block_of(spilled->place));
    }
    while (io.turn()) {
    }
    spill.collect();
    // The last block is still being filled.
    CHECK(::lseek(spill.file(), 0, SEEK_HOLE) >= static_cast<off_t>(last * Spill::block_size));
}

TEST_CASE("what moves to another shard stays in memory up to the budget there") {
    Shelf shelf(1, 100'000);
    for (int i = 0; i < 60; ++i) shelf.keep(1'000, false);
    for (int i = 0; i < 200; ++i) shelf.keep(1'000, true);
    CHECK(shelf.in_memory() >= 90);
    shelf.move(30'000);
    CHECK(shelf.in_memory() >= 25);
    CHECK(shelf.in_memory() <= 30);
    for (std::size_t offset = 0; offset < shelf.held(); ++offset) REQUIRE(shelf.read(offset));
    // And what goes makes room.
    while (shelf.held() != 0) shelf.drop(0);
    CHECK(shelf.in_memory() == 0);
    for (int i = 0; i < 60; ++i) shelf.keep(1'000, false);
    CHECK(shelf.in_memory() >= 25);
    CHECK(shelf.in_memory() <= 30);
}

TEST_CASE("who adds faster than the disk takes it has to pause, and nothing stays in memory for that") {
    Shelf shelf(1);
    {
        const auto stopped = shelf.stop_disk();
        int kept = 0;
        for (; !shelf.bodies().is_behind() && kept < 1'000; ++kept) shelf.keep(60'000, false);
        CHECK(kept < 100);
        CHECK(shelf.bodies().added_while_behind());
        CHECK(!shelf.bodies().added_while_behind());
        // What was read already comes all the same.
        for (int i = 0; i < 100; ++i) shelf.keep(60'000, false);
        CHECK(shelf.in_memory() == 0);
        CHECK(shelf.bodies().added_while_behind());
    }
    for (int patience = 0; shelf.bodies().is_behind() && patience < 10'000; ++patience) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        shelf.bodies().look();
    }
    CHECK(!shelf.bodies().is_behind());
    shelf.keep(60'000, false);
    CHECK(!shelf.bodies().added_while_behind());
    for (std::size_t offset = 0; offset < shelf.held(); ++offset) REQUIRE(shelf.read(offset));
}

TEST_CASE("a message that is damaged in the journal is lost, and the next one is not") {
    Shelf shelf(1);
    for (int i = 0; i < 3; ++i) shelf.keep(200'000, true);
    shelf.settle_down();
    for (const auto& entry : std::filesystem::directory_iterator(shelf.journal())) {
        if (entry.path().extension() != ".seg") continue;
        const int file = ::open(entry.path().c_str(), O_RDWR);
        const char other = '!';
        REQUIRE(::pwrite(file, &other, 1, 300'000) == 1);
        ::close(file);
    }
    REQUIRE(shelf.read(0));
    REQUIRE(shelf.read(2));
    CHECK(!shelf.read(1));
}
