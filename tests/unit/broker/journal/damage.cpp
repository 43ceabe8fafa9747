// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "broker/journal/records.hpp"
#include "broker/journal/recovery.hpp"
#include "broker/journal/writer.hpp"
#include "tests/component/power_loss/disk.hpp"

using namespace trilby::broker;
using namespace trilby::broker::journal;
using trilby::power_loss::Disk;

namespace {

constexpr std::uint64_t number_of_journal = 0x1234;
constexpr std::uint64_t segment_size = batches_at + 3200;

/// A broker's life on a disk, as far as the journal sees it.
class Life {
  public:
    explicit Life(Disk& disk, State state = {})
        : writer_(disk, {&streams_}, started(std::move(state)), options()) {}

    void publish(MessageId id, std::span<const StoredQueue> queues) {
        const std::string tail = std::string(1 + 22 + 7, 'h') + std::string(100, 'b') + '\xCE';
        const Publication content{std::string_view("\0\0", 2), tail, 22, 100};
        const std::size_t size = publish_size(queues.size(), content.names.size() + tail.size());
        write_publish(streams_.publishes.reserve(size), id, id, queues, content);
        streams_.publishes.push(size);
    }
    /// Each confirmed by itself.
    void publish_one_by_one(MessageId first, MessageId end) {
        const StoredQueue queue = 1;
        for (MessageId id = first; id != end; ++id) {
            publish(id, {&queue, 1});
            REQUIRE(writer_.step(now_));
        }
    }
    void settle(StoredQueue queue, MessageId id) {
        const Run run{id, 1};
        write_runs(streams_.settles.reserve(runs_size(1)), RecordType::settle, queue, {&run, 1});
        streams_.settles.push(runs_size(1));
    }
    /// A second apart, until there is nothing to do, or so many times: segments as small as these are
    /// reclaimed for ever.
    void work(unsigned most = 60) {
        while (most-- != 0 && writer_.step(now_)) now_ += std::chrono::seconds(1);
    }
    Writer& writer() { return writer_; }

  private:
    static State started(State state) {
        if (state.journal == 0) state.journal = number_of_journal;
        return state;
    }
    static WriterOptions options() {
        WriterOptions options;
        options.segment_size = options.hasty_size = segment_size;
        return options;
    }

    ShardStreams streams_;
    Writer::Clock::time_point now_{};
    Writer writer_;
};

/// What the disk has, all of it synced.
Disk::Image image_of(const Disk& disk) {
    std::minstd_rand random(1);
    return disk.cut(random, 64);
}

std::set<MessageId> living(const Recovered& recovered) {
    std::set<MessageId> ids;
    recovered.state.living.each([&](MessageId id, Place) { ids.insert(id); });
    return ids;
}

std::set<MessageId> from_to(MessageId first, MessageId last) {
    std::set<MessageId> ids;
    for (MessageId id = first; id <= last; ++id) ids.insert(id);
    return ids;
}

/// Forty messages in some segments, each promised.
Disk::Image forty_messages() {
    Disk disk;
    Life life(disk);
    life.publish_one_by_one(1, 41);
    Disk::Image image = image_of(disk);
    std::erase_if(image, [](const auto& file) { return segment_of(file.first) == 0; });
    REQUIRE(image.size() == 4);
    return image;
}

/// Goes on with it as a broker does, and expects that the next start finds nothing wrong.
Recovered leave_behind(Disk& disk, Recovered recovered) {
    clear_away(disk, recovered);
    Life life(disk, std::move(recovered.state));
    life.work();
    Recovered again = recover(disk);
    CHECK(again.damages.empty());
    CHECK(again.aside.empty());
    return again;
}

bool has_name(Disk& disk, const std::string& name) {
    const std::vector<std::string> names = disk.list();
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

TEST_CASE("a message in more queues than 16 bits can count survives, and so do its neighbours") {
    constexpr std::size_t many = 70'000;
    std::vector<StoredQueue> queues(many);
    std::iota(queues.begin(), queues.end(), StoredQueue{1});
    Disk disk;
    {
        Life life(disk);
        life.publish(1, {queues.data(), 1});
        life.publish(2, queues);
        life.publish(3, {queues.data(), 65'536});
        life.publish(4, {queues.data(), 1});
        life.work();
    }  // a kill: nothing is said at the end
    const auto held = [](const Recovered& recovered, MessageId id) {
        std::size_t count = 0;
        recovered.state.living.each_holder(id, [&](Living::Holder) { ++count; });
        return count;
    };
    Recovered recovered = recover(disk);
    CHECK(recovered.damages.empty());
    CHECK(living(recovered) == from_to(1, 4));
    CHECK(held(recovered, 2) == many);
    CHECK(held(recovered, 3) == 65'536);

    // Copied elsewhere, by as many queues less one.
    recovered.state.damaged_through = recovered.state.segments.back().number;
    {
        Life life(disk, std::move(recovered.state));
        life.settle(7, 2);
        life.work();
    }
    const Recovered copied = recover(disk);
    CHECK(copied.damages.empty());
    CHECK(living(copied) == from_to(1, 4));
    CHECK(held(copied, 2) == many - 1);
    CHECK(held(copied, 3) == 65'536);
}

TEST_CASE("no single bit of a segment's head takes a message, and one that has changed is reported") {
    const Disk::Image image = forty_messages();
    for (const auto& [name, octets] : image)
        for (const std::uint64_t copy : {std::uint64_t{0}, second_head_at})
            for (std::uint64_t at = 0; at < sizeof(SegmentHead); at += 5) {
                CAPTURE(name);
                CAPTURE(copy + at);
                Disk::Image changed = image;
                changed[name][copy + at] ^= static_cast<char>(1 << at % 8);
                Disk disk(changed);
                const Recovered recovered = recover(disk);
                REQUIRE(living(recovered) == from_to(1, 40));
                // What changes while a segment is written may be half written.
                if (at >= offsetof(SegmentHead, checksum) ||
                    (at >= offsetof(SegmentHead, oldest) && at < offsetof(SegmentHead, highest)))
                    continue;
                REQUIRE(recovered.damages.size() == 1);
                REQUIRE(recovered.damages[0].file == name);
                REQUIRE(recovered.damages[0].offset == copy);
                REQUIRE(recovered.damages[0].size == sizeof(SegmentHead));
            }
}

TEST_CASE(
    "a segment without a readable head is known by its batches, and its file is kept when it has gone") {
    const Disk::Image image = forty_messages();
    for (const auto& [name, octets] : image) {
        CAPTURE(name);
        Disk::Image changed = image;
        changed[name].replace(0, batches_at, batches_at, '\x55');
        Disk disk(changed);
        Recovered recovered = recover(disk);
        CHECK(living(recovered) == from_to(1, 40));
        REQUIRE(recovered.damages.size() == 1);
        CHECK(recovered.damages[0].file == name);
        const Recovered again = leave_behind(disk, std::move(recovered));
        CHECK(living(again) == from_to(1, 40));
        CHECK(has_name(disk, name + ".aside"));
    }
}

TEST_CASE("a damaged batch is reported, its neighbours count, and its file is kept when it has gone") {
    Disk::Image image = forty_messages();
    image[segment_name(2)][batches_at + 100] ^= 1;
    Disk disk(image);
    Recovered recovered = recover(disk);
    CHECK(living(recovered).size() == 39);
    REQUIRE(recovered.damages.size() == 1);
    CHECK(recovered.damages[0].kind == Damage::Kind::rot);
    CHECK(recovered.damages[0].file == segment_name(2));
    CHECK(recovered.damages[0].offset == batches_at);
    CHECK(leave_behind(disk, std::move(recovered)).state.living.messages() == 39);
    CHECK(has_name(disk, segment_name(2) + ".aside"));
}

TEST_CASE("a damaged length leads past no message that lives behind it, and its file is moved aside") {
    const Disk::Image image = forty_messages();
    for (unsigned bit = 3; bit != 12; ++bit) {
        CAPTURE(bit);
        Disk::Image changed = image;
        changed[segment_name(1)][batches_at + sizeof(BatchHead) + bit / 8] ^= static_cast<char>(1 << bit % 8);
        Disk disk(changed);
        Recovered recovered = recover(disk);
        CHECK(recovered.damages.size() == 1);
        CHECK(living(recovered) == from_to(2, 40));
        CHECK(living(leave_behind(disk, std::move(recovered))) == from_to(2, 40));
        CHECK(has_name(disk, segment_name(1) + ".aside"));
    }
}

TEST_CASE("a segment's file that is not there is missed, wherever it stood") {
    const Disk::Image image = forty_messages();
    for (const auto& [name, octets] : image) {
        CAPTURE(name);
        Disk::Image changed = image;
        changed.erase(name);
        Disk disk(changed);
        // The last one is missed by the catalog only.
        const Recovered recovered = recover(disk, {number_of_journal, 40});
        REQUIRE(recovered.damages.size() == 1);
        CHECK(recovered.damages[0].kind == Damage::Kind::missing);
        CHECK(recovered.state.next_sequence > 40);
    }
    Disk none;
    const Recovered recovered = recover(none, {number_of_journal, 40});
    REQUIRE(recovered.damages.size() == 1);
    CHECK(recovered.damages[0].kind == Damage::Kind::missing);
}

TEST_CASE("whoever goes on without the end of the journal is told once, and the last file is moved aside") {
    const Remembered remembered{number_of_journal, 50};
    Disk disk(forty_messages());
    Recovered recovered = recover(disk, remembered);
    REQUIRE(recovered.damages.size() == 1);
    CHECK(recovered.damages[0].kind == Damage::Kind::missing);
    const std::string last = recovered.damages[0].file;
    CHECK(living(leave_behind(disk, std::move(recovered))) == from_to(1, 40));
    CHECK(recover(disk, remembered).damages.empty());
    CHECK(has_name(disk, last + ".aside"));
}

TEST_CASE(
    "what is damaged since the start is not copied as if it were sound, and the next start reports it") {
    Disk disk(forty_messages());
    Recovered recovered = recover(disk);
    REQUIRE(recovered.damages.empty());
    recovered.state.damaged_through = recovered.state.segments.back().number;
    const Files::File file = disk.open(segment_name(1));
    char octet;
    const std::uint64_t in_a_body = batches_at + 150;
    disk.read(file, in_a_body, {&octet, 1});
    octet ^= 1;
    iovec piece{&octet, 1};
    disk.write(file, in_a_body, {&piece, 1});
    {
        Life life(disk, std::move(recovered.state));
        life.work();
    }
    Recovered again = recover(disk);
    REQUIRE(again.damages.size() == 1);
    CHECK(again.damages[0].file == segment_name(1));
    CHECK(again.damages[0].offset == batches_at);
    CHECK(living(again) == from_to(2, 40));
    CHECK(living(leave_behind(disk, std::move(again))) == from_to(2, 40));
    CHECK(has_name(disk, segment_name(1) + ".aside"));
}

TEST_CASE("a file that is no segment of this journal is moved aside, and one that was never begun goes") {
    Disk::Image image = forty_messages();
    image["copy of 1.seg"] = image[segment_name(1)];
    image[segment_name(77)] = std::string(segment_size, '\0');  // the power went before it was begun
    image["notes"] = "mine";
    Disk disk(image);
    Recovered recovered = recover(disk);
    CHECK(living(recovered) == from_to(1, 40));
    REQUIRE(recovered.damages.size() == 1);
    CHECK(recovered.damages[0].file == "copy of 1.seg");
    CHECK(recovered.state.next_segment == 78);
    leave_behind(disk, std::move(recovered));
    CHECK(has_name(disk, "copy of 1.seg.aside"));
    CHECK(has_name(disk, "notes"));
    CHECK_FALSE(has_name(disk, segment_name(77)));
    CHECK_FALSE(has_name(disk, segment_name(77) + ".aside"));
}

TEST_CASE("a journal whose heads stand once is read, and is not missed what had gone before") {
    Disk::Image image = forty_messages();
    for (auto& [name, octets] : image) {
        auto head = load<SegmentHead>(octets.data());
        head.magic = SegmentHead::first_magic;
        head.checksum = checksum_of(head);
        octets.replace(0, sizeof head, reinterpret_cast<const char*>(&head), sizeof head);
        octets.replace(second_head_at, sizeof head, sizeof head, '\0');
    }
    Disk disk(image);
    const Recovered recovered = recover(disk);
    CHECK(recovered.damages.empty());
    CHECK(living(recovered) == from_to(1, 40));
    image.erase(segment_name(1));
    Disk later(image);
    CHECK(recover(later).damages.empty());
}

TEST_CASE("without a descriptor or memory for another segment the journal waits, and goes on") {
    for (const int reason : {EMFILE, ENFILE, ENOMEM, ENOSPC}) {
        CAPTURE(reason);
        Disk disk;
        Life life(disk);
        life.publish_one_by_one(1, 5);
        const StoredQueue queue = 1;
        disk.nothing_opens = reason;
        unsigned waited = 0;
        MessageId id = 5;
        for (; id != 40 && waited == 0; ++id) {
            life.publish(id, {&queue, 1});
            try {
                life.writer().step({});
            } catch (const Shortage&) {
                ++waited;
            }
        }
        REQUIRE(waited == 1);
        CHECK_THROWS_AS(life.writer().step({}), Shortage);
        disk.nothing_opens = 0;
        life.work();
        CHECK(living(recover(disk)) == from_to(1, id - 1));
    }
}

TEST_CASE("the journal knows how many changes the catalog had, in whichever segments are left") {
    Disk disk;
    Life life(disk);
    life.writer().catalog_is_at(17);
    life.publish_one_by_one(1, 40);
    for (MessageId id = 1; id != 38; ++id) life.settle(1, id);
    life.work();
    const Recovered recovered = recover(disk);
    CHECK(recovered.state.segments.front().number > 1);
    CHECK(recovered.state.catalog == 17);
    CHECK(recovered.state.newest_queue == 1);
}

TEST_CASE("a segment that is needed no more goes without a sync of its own, or after a second") {
    Disk disk;
    Life life(disk);
    const auto newest = [&] {
        std::uint64_t number = 0;
        for (const std::string& name : disk.list()) number = std::max(number, segment_of(name));
        return number;
    };
    MessageId id = 1;
    life.publish_one_by_one(id, id + 1);
    const std::size_t syncs = disk.syncs;
    const std::uint64_t segments = newest();
    for (; id != 400; ++id) {
        life.settle(1, id);
        life.publish_one_by_one(id + 1, id + 2);
        CHECK(life.writer().segments() <= 3);
    }
    REQUIRE(newest() > segments + 20);
    // One for each batch, one for each head.
    CHECK(disk.syncs - syncs == 399 + newest() - segments);

    const MessageId oldest = id;
    while (life.writer().segments() != 4) {
        life.publish_one_by_one(id + 1, id + 2);
        ++id;
    }
    for (MessageId settled = oldest; settled <= id; ++settled) life.settle(1, settled);
    life.work(1);
    CHECK(life.writer().segments() == 4);
    life.work();
    CHECK(life.writer().segments() == 2);
}

TEST_CASE("a damaged segment that is needed no more is moved aside, though a kill came before it went") {
    Disk disk;
    Life life(disk);
    const std::string name = segment_name(1);
    const auto has = [&](const std::vector<std::string>& names) {
        return std::find(names.begin(), names.end(), name) != names.end();
    };
    Disk::Image before_it_goes;
    disk.before_operation = [&] {
        Disk killed(image_of(disk));
        const Recovered recovered = recover(killed);
        if (has(recovered.forgotten) && !recovered.state.segments.empty()) before_it_goes = image_of(disk);
    };
    for (MessageId id = 1; before_it_goes.empty() && id != 200; ++id) {
        life.publish_one_by_one(id, id + 1);
        life.settle(1, id);
    }
    disk.before_operation = nullptr;
    REQUIRE(before_it_goes.contains(name));

    const auto moves_aside = [&](auto damage) {
        Disk::Image image = before_it_goes;
        damage(image[name]);
        Disk damaged(image);
        const Recovered recovered = recover(damaged);
        CHECK(has(recovered.aside) != has(recovered.forgotten));
        return has(recovered.aside);
    };
    CHECK(!moves_aside([](std::string&) {}));
    CHECK(moves_aside([](std::string& octets) { octets[20] ^= 1; }));
    CHECK(moves_aside([](std::string& octets) { octets[second_head_at + 20] ^= 1; }));
    CHECK(moves_aside([](std::string& octets) { octets[batches_at + 100] ^= 1; }));
    CHECK(moves_aside([](std::string& octets) { octets[octets.find_last_not_of('\0')] ^= 1; }));
    CHECK(moves_aside([](std::string& octets) { octets.resize(octets.size() / 2); }));
}
