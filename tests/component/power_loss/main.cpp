// SPDX-License-Identifier: Apache-2.0
// The journal on a disk that forgets. Three shards publish, settle and commit while the writer writes:
// between any two operations on the disk, and between the writer's two looks at them. At any moment the power
// may be cut; what is recovered from what the disk may then hold is compared with what was promised.
//   power_loss [--images N] [--seed S | --seed clock] [--fault NAME] [--rot octets | --rot bit]
// With a fault, a mutant of the journal, it ends with success when it has found an image that is wrong. With
// rot of octets, some of each image are changed at random: recovery may lose, but neither crash nor invent,
// and what is damaged is moved aside, so that the start after it finds nothing wrong. With rot of a bit, or a
// file that is gone, nothing is lost without a word, and who goes on is told once.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <map>
#include <set>
#include <string>

#include <fmt/format.h>

#include "broker/journal/records.hpp"
#include "broker/journal/recovery.hpp"
#include "broker/journal/writer.hpp"
#include "tests/component/power_loss/disk.hpp"

namespace {

using namespace trilby::broker::journal;
using trilby::power_loss::Disk;

constexpr std::size_t shards = 3;
constexpr std::size_t queues = 5;
constexpr std::uint64_t none = UINT64_MAX;

struct Faults {
    WriterOptions::Fault writer = WriterOptions::Fault::none;
    RecoveryFault recovery = RecoveryFault::none;
};

/// What became of a message in one queue.
struct Copy {
    bool confirmed = false;  // its publish was promised
    bool settle_handed = false;
    bool settle_safe = false;
    std::uint64_t transaction = 0;  // that published it
    std::uint64_t settled_by = 0;   // the transaction, if one did
};
struct Model {
    struct Message {
        std::string body;
        std::map<StoredQueue, Copy> copies;
    };
    std::map<MessageId, Message> messages;
    struct Transaction {
        bool safe = false;
    };
    std::map<std::uint64_t, Transaction> transactions;
    Remembered remembered;  // by the catalog
};

enum class Rot : std::uint8_t { no, octets, bit };

class Wrong {
  public:
    explicit Wrong(std::string what) : text(std::move(what)) {}
    std::string text;
};

std::string body_of(MessageId id, std::size_t size) {
    std::string body = std::to_string(id) + ':';
    std::minstd_rand random(static_cast<std::uint32_t>(id * 2654435761u + 1));
    while (body.size() < size) body += static_cast<char>('a' + random() % 26);
    return body;
}

std::string_view body_in(const LivingMessage& message) {
    return message.publication.body();
}

/// One life of a broker on a disk, from recovery to its end.
class Life {
  public:
    Life(Disk& disk, Model& model, std::minstd_rand& random, Faults faults)
        : disk_(disk), model_(model), random_(random) {
        Recovered recovered = recover(disk, model.remembered, faults.recovery);
        expect_sound(recovered);
        adopt(recovered.state);
        clear_away(disk, recovered);
        if (recovered.state.journal == 0) recovered.state.journal = model.remembered.journal;
        for (std::size_t i = 0; i < shards; ++i) {
            next_id_[i] = recovered.state.highest[i] + 1;
            streams_.push_back(std::make_unique<ShardStreams>());
        }
        stamp_ = recovered.state.last_stamp;
        uniform_ = random() % 2 == 0;
        faulty_ = random() % 3 == 0;
        std::vector<ShardStreams*> ends;
        for (const auto& one : streams_) ends.push_back(one.get());
        WriterOptions options;
        options.segment_size = batches_at + 1000 + random() % 600;
        options.hasty_size = random() % 2 == 0 ? options.segment_size : options.segment_size - 300;
        options.scan_at_least = 300;
        options.removal_delay = std::chrono::milliseconds(random() % 3 * 100);
        options.fault = faults.writer;
        options.between_looks = [this] {
            for (auto acts = random_() % 4; acts != 0; --acts) act();
        };
        writer_ = std::make_unique<Writer>(disk_, ends, std::move(recovered.state), options);
    }

    /// `moment` is called before each operation on the disk. True: the disk has failed.
    bool live(unsigned rounds, const std::function<void()>& moment) {
        disk_.before_operation = [&] {
            observe();
            moment();
            if (random_() % 3 == 0) act();
            if (!faulty_) return;
            if (random_() % 200 == 0) disk_.write_fails_after = random_() % 300;
            if (random_() % 200 == 0) throw std::system_error(EIO, std::system_category());
        };
        bool failed = false;
        for (unsigned i = 0; i < rounds && !failed; ++i) {
            for (auto acts = random_() % 4; acts != 0; --acts) act();
            now_ += std::chrono::milliseconds(random_() % 60);
            disk_.full = faulty_ && random_() % 8 == 0;
            try {
                if (!writer_->step(now_)) writer_->make_reserve();
            } catch (const Shortage&) {
                // It is tried again, and nothing of the round is lost.
            } catch (const std::system_error&) {
                failed = true;  // for good: nothing more is promised
            }
            observe();
            moment();
        }
        disk_.before_operation = nullptr;
        disk_.write_fails_after.reset();
        disk_.full = false;
        return failed;
    }

  private:
    /// What was recovered is the truth from here on.
    void adopt(const State& state) {
        std::map<MessageId, std::set<StoredQueue>> there;
        check(disk_, state, model_, &there);
        for (auto& [id, message] : model_.messages)
            std::erase_if(message.copies, [&, id = id](const auto& copy) {
                return !there.contains(id) || !there[id].contains(copy.first);
            });
        for (auto& [id, message] : model_.messages)
            for (auto& [queue, copy] : message.copies) copy = {.confirmed = true};
        std::erase_if(model_.messages, [](const auto& one) { return one.second.copies.empty(); });
        model_.transactions.clear();
    }

  public:
    static void expect_sound(const Recovered& recovered) {
        if (!recovered.damages.empty())
            throw Wrong("rot where there was none: " + to_text(recovered.damages[0]));
        if (!recovered.aside.empty())
            throw Wrong("nothing is wrong, and yet it cannot be placed: " + recovered.aside[0]);
    }

    /// Only what was published, as it was published.
    static std::map<MessageId, std::set<StoredQueue>> read(Files& files, const State& state,
                                                           const Model& model) {
        std::map<MessageId, std::set<StoredQueue>> found;
        read_living(files, state, [&](const LivingMessage& message) {
            const auto known = model.messages.find(message.id);
            if (known == model.messages.end())
                throw Wrong(fmt::format("message {:x} was invented", message.id));
            if (body_in(message) != known->second.body)
                throw Wrong(fmt::format("message {:x} has another body", message.id));
            for (const Living::Holder& holder : message.holders) {
                if (!known->second.copies.contains(holder.queue))
                    throw Wrong(fmt::format("message {:x} is in queue {}, where it never was", message.id,
                                            holder.queue));
                if (!found[message.id].insert(holder.queue).second)
                    throw Wrong(fmt::format("message {:x} is twice in queue {}", message.id, holder.queue));
            }
        });
        return found;
    }

    static void check(Files& files, const State& state, const Model& model,
                      std::map<MessageId, std::set<StoredQueue>>* there) {
        std::map<MessageId, std::set<StoredQueue>> found = read(files, state, model);
        std::map<std::uint64_t, int> committed;  // by transaction: 1 done, -1 not done
        const auto vote = [&](std::uint64_t transaction, int done) {
            int& so_far = committed[transaction];
            if (so_far != 0 && so_far != done)
                throw Wrong(fmt::format("transaction {} is halved", transaction));
            so_far = done;
        };
        for (const auto& [id, message] : model.messages)
            for (const auto& [queue, copy] : message.copies) {
                const bool living = found.contains(id) && found[id].contains(queue);
                if (copy.confirmed && !copy.settle_handed && !living)
                    throw Wrong(fmt::format("message {:x} in queue {} was promised and is gone", id, queue));
                if (copy.settle_safe && living)
                    throw Wrong(fmt::format("message {:x} in queue {} was settled and is back", id, queue));
                if (copy.transaction != 0 && !copy.settle_handed) vote(copy.transaction, living ? 1 : -1);
                if (copy.settled_by != 0 && copy.confirmed) vote(copy.settled_by, living ? -1 : 1);
            }
        if (there != nullptr) *there = std::move(found);
    }

  private:
    void act() {
        const std::size_t shard = random_() % shards;
        if (random_() % 8 == 0) settle_again();
        switch (random_() % 8) {
            case 0:
            case 1:
            case 2: publish(shard); break;
            case 3: transaction(shard); break;
            default: settle();
        }
    }

    std::string content(MessageId id, std::vector<StoredQueue>& into, std::uint64_t transaction) {
        into.clear();
        into.push_back(1 + random_() % queues);
        if (!uniform_ && random_() % 3 == 0) {
            const StoredQueue other = 1 + random_() % queues;
            if (other != into[0]) into.push_back(other);
        }
        Model::Message& message = model_.messages[id];
        message.body = body_of(id, uniform_ ? 40 : 10 + random_() % (random_() % 20 == 0 ? 1500 : 120));
        for (const StoredQueue queue : into) message.copies[queue] = {.transaction = transaction};
        std::string tail(1 + 22, 'h');
        return tail + "bodyhed" + message.body + '\xCE';
    }

    trilby::broker::Publication publication(MessageId id, std::string_view tail) {
        return {std::string_view("\0\0", 2), tail, 22,
                static_cast<std::uint32_t>(model_.messages[id].body.size())};
    }

    void publish(std::size_t shard) {
        const MessageId id = std::uint64_t{shard} << 56 | next_id_[shard]++;
        std::vector<StoredQueue> into;
        const std::string tail = content(id, into, 0);
        Stream& stream = streams_[shard]->publishes;
        const std::size_t size = publish_size(into.size(), 2 + tail.size());
        write_publish(stream.reserve(size), id, ++stamp_, into, publication(id, tail));
        stream.push(size);
        for (const StoredQueue queue : into)
            waiting_.push_back({shard, stream.position(), false, id, queue, 0});
        for (const StoredQueue queue : into) ready_.emplace_back(id, queue);
    }

    /// A ready message, which is then settled at its queue's home. Older ones are rarer, but there are some.
    std::pair<MessageId, StoredQueue> pick() {
        if (ready_.empty())
            for (const auto& [id, message] : model_.messages)
                for (const auto& [queue, copy] : message.copies)
                    if (!copy.settle_handed && (copy.confirmed || copy.transaction == 0))
                        ready_.emplace_back(id, queue);
        if (ready_.empty()) return {none, 0};
        const std::size_t at = random_() % 2 == 0 ? ready_.size() - 1 : random_() % ready_.size();
        const auto taken = ready_[at];
        ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(at));
        return taken;
    }

    void settle() {
        const auto [id, queue] = pick();
        if (id == none) return;
        Stream& stream = streams_[queue % shards]->settles;
        const Run run{id, 1};
        const bool mark = random_() % 5 == 0;
        const std::size_t size = runs_size(1);
        write_runs(stream.reserve(size), mark ? RecordType::mark : RecordType::settle, queue, {&run, 1},
                   mark ? 1 : 0);
        stream.push(size);
        if (mark) {
            ready_.emplace_back(id, queue);
            return;
        }
        model_.messages[id].copies[queue].settle_handed = true;
        settled_.emplace_back(id, queue);
        waiting_.push_back({queue % shards, stream.position(), true, id, queue, 0});
    }

    /// What a transaction settled its queue settles too, later; and a queue that never held a message may say
    /// so.
    void settle_again() {
        if (settled_.empty()) return;
        auto [id, queue] = settled_[random_() % settled_.size()];
        const auto message = model_.messages.find(id);
        if (message == model_.messages.end()) return;
        if (const StoredQueue other = 1 + random_() % queues; !message->second.copies.contains(other))
            queue = other;
        Stream& stream = streams_[queue % shards]->settles;
        const Run run{id, 1};
        write_runs(stream.reserve(runs_size(1)), RecordType::settle, queue, {&run, 1});
        stream.push(runs_size(1));
    }

    void transaction(std::size_t shard) {
        const std::uint64_t number = ++transactions_;
        model_.transactions[number] = {};
        std::string records;
        const auto room = [&](std::size_t size) {
            records.resize(records.size() + size);
            return records.data() + records.size() - size;
        };
        std::vector<Waiting> promised;
        std::uint32_t count_of_records = 0;
        room(commit_size);
        for (auto count = random_() % 3; count != 0; --count) {
            const MessageId id = std::uint64_t{shard} << 56 | next_id_[shard]++;
            std::vector<StoredQueue> into;
            const std::string tail = content(id, into, number);
            ++count_of_records;
            write_publish(room(publish_size(into.size(), 2 + tail.size())), id, ++stamp_, into,
                          publication(id, tail));
            for (const StoredQueue queue : into) promised.push_back({shard, 0, false, id, queue, number});
        }
        for (auto count = random_() % 3; count != 0; --count) {
            const auto [id, queue] = pick();
            if (id == none) break;
            const Run run{id, 1};
            ++count_of_records;
            write_runs(room(runs_size(1)), RecordType::settle, queue, {&run, 1});
            Copy& copy = model_.messages[id].copies[queue];
            copy.settle_handed = true;
            copy.settled_by = number;
            promised.push_back({shard, 0, true, id, queue, number});
        }
        write_commit(records.data(), count_of_records);
        Stream& stream = streams_[shard]->settles;
        std::memcpy(stream.reserve(records.size()), records.data(), records.size());
        stream.push(records.size());
        for (Waiting& one : promised) {
            one.in_settles = true;
            one.position = stream.position();
            one.is_settle = model_.messages[one.id].copies[one.queue].settled_by == number;
            waiting_.push_back(one);
        }
    }

    /// What the writer has promised by now.
    void observe() {
        if (const std::uint64_t promised = writer_->promised(); promised != 0)
            model_.remembered = {writer_->journal(), promised};
        std::erase_if(waiting_, [&](const Waiting& one) {
            const ShardStreams& shard = *streams_[one.shard];
            const bool settles = one.is_settle || one.in_settles;
            const std::uint64_t safe = (settles ? shard.safe_settles : shard.safe_publishes).load();
            if (safe < one.position) return false;
            const auto message = model_.messages.find(one.id);
            if (message == model_.messages.end()) return true;
            Copy& copy = message->second.copies[one.queue];
            if (one.is_settle) {
                copy.settle_safe = true;
            } else {
                copy.confirmed = true;
                if (one.transaction != 0) ready_.emplace_back(one.id, one.queue);
            }
            return true;
        });
    }

    struct Waiting {
        std::size_t shard;
        std::uint64_t position;
        bool is_settle;
        MessageId id;
        StoredQueue queue;
        std::uint64_t transaction;
        bool in_settles = false;
    };

    Disk& disk_;
    Model& model_;
    std::minstd_rand& random_;
    std::vector<std::unique_ptr<ShardStreams>> streams_;
    std::unique_ptr<Writer> writer_;
    std::uint64_t next_id_[shards] = {};
    std::uint64_t stamp_ = 0;
    std::uint64_t transactions_ = 0;
    bool faulty_ = false;   // the disk is full now and then, and fails in the end
    bool uniform_ = false;  // records of one size, which stand where others stood in a recycled segment
    std::vector<Waiting> waiting_;
    std::vector<std::pair<MessageId, StoredQueue>> ready_;
    std::vector<std::pair<MessageId, StoredQueue>> settled_;
    Writer::Clock::time_point now_{};
};

class Test {
  public:
    Test(std::uint32_t seed, std::uint64_t images, Faults faults, Rot rot)
        : random_(seed), images_(images), faults_(faults), rot_(rot) {}

    void run() {
        while (made_ < images_) story();
    }
    std::uint64_t made() const { return made_; }

  private:
    /// A few lives on one disk, each ended by a kill or a power cut.
    void story() {
        auto disk = std::make_unique<Disk>();
        Model model;
        for (auto lives = 1 + random_() % 4; lives != 0; --lives) {
            const bool failed =
                Life(*disk, model, random_, faults_).live(static_cast<unsigned>(10 + random_() % 40), [&] {
                    look(*disk, model);
                });
            // What a failed disk shows is not what it has.
            if (failed || random_() % 2 == 0) {
                const Disk::Image image = disk->cut(random_, sector());
                disk = std::make_unique<Disk>(image);
            }
            // Else the broker was killed: the next one sees what was written, synced or not.
        }
    }

    void look(const Disk& disk, const Model& model) {
        for (unsigned i = 0; i < 2; ++i) {
            ++made_;
            if (rot_ == Rot::octets) {
                look_at_rot(disk.cut(random_, sector()));
                continue;
            }
            if (rot_ == Rot::bit) {
                look_at_a_bit(disk.cut(random_, sector()), model);
                continue;
            }
            Disk image(disk.cut(random_, sector()));
            const Recovered recovered = recover(image, model.remembered, faults_.recovery);
            Life::expect_sound(recovered);
            Life::check(image, recovered.state, model, nullptr);
        }
    }
    void look_at_rot(Disk::Image image) {
        for (auto changes = 1 + random_() % 4; changes != 0 && !image.empty(); --changes) {
            std::string& octets =
                std::next(image.begin(), static_cast<std::ptrdiff_t>(random_() % image.size()))->second;
            if (random_() % 4 == 0)
                octets.resize(random_() % (octets.size() + 1));  // a file that was cut off
            if (octets.empty()) continue;
            octets[random_() % octets.size()] ^= static_cast<char>(1 << random_() % 8);
        }
        Disk disk(image);
        Recovered recovered = recover(disk);
        expect_left_behind(disk, std::move(recovered), {});
    }
    /// Who goes on with it loses no more, and the next start finds nothing wrong.
    void expect_left_behind(Disk& disk, Recovered recovered, Remembered remembered) {
        const auto living = read_sound(disk, recovered.state);
        leave_damage_behind(disk, std::move(recovered));
        const Recovered again = recover(disk, remembered);
        Life::expect_sound(again);
        if (read_sound(disk, again.state) != living)
            throw Wrong("leaving the damage behind has lost messages, or brought some back");
    }
    /// Nothing is lost without a word: something is reported, or everything is there that was promised.
    void look_at_a_bit(Disk::Image image, const Model& model) {
        std::erase_if(image, [](const auto& file) { return segment_of(file.first) == 0; });
        if (image.empty()) return;
        const auto file = std::next(image.begin(), static_cast<std::ptrdiff_t>(random_() % image.size()));
        if (random_() % 8 == 0) {
            image.erase(file);
        } else {
            // In the head as often as anywhere else.
            const std::size_t size = random_() % 2 == 0 ? sizeof(SegmentHead) : file->second.size();
            file->second[random_() % std::min(size, file->second.size())] ^=
                static_cast<char>(1 << random_() % 8);
        }
        Disk disk(image);
        Recovered recovered = recover(disk, model.remembered);
        if (recovered.damages.empty()) Life::check(disk, recovered.state, model, nullptr);
        // Of a journal that is gone there is nothing to go on with.
        if (recovered.state.segments.empty()) return;
        expect_left_behind(disk, std::move(recovered), model.remembered);
    }
    /// As a broker does that goes on; damaged files are still there afterwards, and all of them aside.
    void leave_damage_behind(Disk& disk, Recovered recovered) {
        clear_away(disk, recovered);
        std::set<std::string> aside;
        for (const State::Segment& segment : recovered.state.segments)
            if (segment.damaged) aside.insert(segment_name(segment.number));
        for (const std::string& name : recovered.aside) aside.insert(name);
        ShardStreams streams;
        WriterOptions options;
        options.segment_size = batches_at + 1000 + random_() % 600;
        options.hasty_size = options.segment_size;
        Writer writer(disk, {&streams}, std::move(recovered.state), options);
        Writer::Clock::time_point now{};
        const auto is_aside = [&](const std::string& name) {
            return std::ranges::any_of(
                disk.list(), [&](const std::string& one) { return one.starts_with(name + ".aside"); });
        };
        // Segments as small as these are reclaimed for ever, so it ends when what is damaged is left behind.
        constexpr unsigned usual_steps = 200, most_steps = 10'000;
        for (unsigned steps = 0; steps < most_steps && writer.step(now); ++steps) {
            now += std::chrono::seconds(1);
            if (steps >= usual_steps && std::ranges::all_of(aside, is_aside)) break;
        }
        writer.finish();
        for (const std::string& name : aside)
            if (!is_aside(name)) throw Wrong(fmt::format("{} was damaged, and is not aside", name));
    }
    /// What was settled may be back, so the model does not know all of it; but a body follows from its id.
    static std::map<MessageId, std::set<StoredQueue>> read_sound(Disk& disk, const State& state) {
        std::map<MessageId, std::set<StoredQueue>> living;
        read_living(disk, state, [&](const LivingMessage& message) {
            if (body_in(message) != body_of(message.id, message.publication.body_size))
                throw Wrong(fmt::format("message {:x} was invented", message.id));
            for (const Living::Holder& holder : message.holders) {
                if (holder.queue == 0 || holder.queue > queues)
                    throw Wrong(fmt::format("message {:x} is in a queue that never was", message.id));
                living[message.id].insert(holder.queue);
            }
        });
        return living;
    }
    std::size_t sector() { return random_() % 4 == 0 ? 8 : 64; }

    std::minstd_rand random_;
    const std::uint64_t images_;
    const Faults faults_;
    const Rot rot_;
    std::uint64_t made_ = 0;
};

const std::map<std::string, Faults> mutants{
    {"confirm before sync", {.writer = WriterOptions::Fault::confirm_before_sync}},
    {"no directory sync", {.writer = WriterOptions::Fault::no_directory_sync}},
    {"roll without sync", {.writer = WriterOptions::Fault::roll_without_sync}},
    {"head without sync", {.writer = WriterOptions::Fault::head_without_sync}},
    {"remove before sync", {.writer = WriterOptions::Fault::remove_before_sync}},
    {"publishes looked at first", {.writer = WriterOptions::Fault::publishes_looked_at_first}},
    {"no cut at a hole", {.recovery = RecoveryFault::no_cut_at_a_hole}},
    {"restart without sync", {.recovery = RecoveryFault::no_sync}},
    {"seed unchecked", {.recovery = RecoveryFault::seed_unchecked}},
    {"digest unchecked", {.recovery = RecoveryFault::digest_unchecked}},
};

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t images = 100'000;
    std::uint32_t seed = 1;
    std::string fault;
    Rot rot = Rot::no;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        if (option == "--images") images = std::strtoull(argv[i + 1], nullptr, 10);
        if (option == "--seed")
            seed = argv[i + 1] == std::string("clock")
                       ? static_cast<std::uint32_t>(std::time(nullptr))
                       : static_cast<std::uint32_t>(std::strtoul(argv[i + 1], nullptr, 10));
        if (option == "--fault") fault = argv[i + 1];
        if (option == "--rot") rot = argv[i + 1] == std::string("bit") ? Rot::bit : Rot::octets;
    }
    if (!fault.empty() && !mutants.contains(fault)) {
        fmt::print(stderr, "there is no fault '{}'\n", fault);
        return 2;
    }
    fmt::print("seed {}\n", seed);
    std::fflush(stdout);
    Test test(seed, images, fault.empty() ? Faults{} : mutants.at(fault), rot);
    const auto started = std::chrono::steady_clock::now();
    std::string wrong;
    try {
        test.run();
    } catch (const Wrong& found) {
        wrong = found.text;
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    fmt::print("seed {}: {} images, {:.0f} a second{}\n", seed, test.made(),
               static_cast<double>(test.made()) / took.count(), wrong.empty() ? "" : "; wrong: " + wrong);
    return wrong.empty() == fault.empty() ? 0 : 1;
}
