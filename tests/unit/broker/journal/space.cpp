// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "broker/journal/files.hpp"
#include "broker/journal/records.hpp"
#include "broker/journal/writer.hpp"
#include "tests/unit/broker/temporary_folder.hpp"

using namespace trilby::broker;
using namespace trilby::broker::journal;

namespace {

constexpr StoredQueue queue = 1;
constexpr std::uint64_t allowed_beyond = std::uint64_t{256} << 20;

/// One shard's streams and the writer behind them, on a real disk.
class Log {
  public:
    void publish(MessageId id) {
        const std::size_t size = publish_size(1, content_.names.size() + content_.tail.size());
        write_publish(streams_.publishes.reserve(size), id, id, {&queue, 1}, content_);
        streams_.publishes.push(size);
    }
    void settle(MessageId id) {
        const Run run{id, 1};
        write_runs(streams_.settles.reserve(runs_size(1)), RecordType::settle, queue, {&run, 1});
        streams_.settles.push(runs_size(1));
    }
    /// A round of the writer; true if the log is within its bound, as the writer and the directory see it.
    bool round() {
        writer_.step(Writer::Clock::now());
        const std::uint64_t bound = 2 * writer_.living_octets() + allowed_beyond;
        most_ = std::max(most_, writer_.octets());
        return writer_.octets() <= bound && taken() <= bound;
    }
    std::uint64_t taken() const {
        std::uint64_t octets = 0;
        for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "journal")) {
            struct stat status {};
            if (::stat(entry.path().c_str(), &status) == 0)
                octets += static_cast<std::uint64_t>(status.st_blocks) * 512;
        }
        return octets;
    }
    std::uint64_t most() const { return most_; }
    std::uint64_t living() const { return writer_.living_octets(); }

  private:
    TemporaryFolder folder_;
    DirectoryFiles files_{folder_.path() / "journal"};
    ShardStreams streams_;
    Writer writer_{files_, {&streams_}, {}, {}};
    const std::string tail_ = std::string(1 + 22 + 7, 'h') + std::string(100, 'b') + '\xCE';
    const Publication content_{std::string_view("\0\0", 2), tail_, 22, 100};
    std::uint64_t most_ = 0;
};

/// Two million messages in rounds; after each, `settle` is called for each of its messages. Returns the
/// octets that were written.
template <class F>
std::uint64_t publish_many(Log& log, F settle) {
    constexpr int rounds = 200;
    constexpr MessageId in_a_round = 10'000;
    MessageId next = 1;
    for (int round = 0; round < rounds; ++round) {
        const MessageId first = next;
        for (; next != first + in_a_round; ++next) log.publish(next);
        REQUIRE(log.round());
        for (MessageId id = first; id != next; ++id) settle(id);
    }
    REQUIRE(log.round());
    return rounds * in_a_round * publish_size(1, 2 + 1 + 22 + 7 + 100 + 1);
}

}  // namespace

TEST_CASE("one message that stays among two million that go does not keep them on the disk") {
    Log log;
    const std::uint64_t written = publish_many(log, [&](MessageId id) {
        if (id != 1) log.settle(id);
    });
    REQUIRE(written > allowed_beyond);  // or nothing had to go
    CHECK(log.most() < std::uint64_t{128} << 20);
}

TEST_CASE(
    "messages that stay for long among many that go do not keep more on the disk than twice themselves") {
    Log log;
    std::mt19937 random(std::random_device{}());
    std::vector<MessageId> stay;
    const std::uint64_t written = publish_many(log, [&](MessageId id) {
        if (random() % 10 != 0) {
            log.settle(id);
        } else if (stay.size() < 100'000) {
            stay.push_back(id);
        } else {
            MessageId& other = stay[random() % stay.size()];
            log.settle(other);
            other = id;
        }
    });
    REQUIRE(written > allowed_beyond + 2 * log.living());
}
