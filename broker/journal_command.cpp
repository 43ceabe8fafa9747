// SPDX-License-Identifier: Apache-2.0
#include "broker/journal_command.hpp"

#include <stdexcept>

#include <fmt/format.h>

#include "broker/data_directory.hpp"
#include "broker/journal/recovery.hpp"
#include "broker/json_table.hpp"
#include "broker/message.hpp"

namespace trilby::broker {

namespace {

/// The files as they are: what recovery would sync or remove is left alone.
class Untouched final : public journal::Files {
  public:
    explicit Untouched(const std::filesystem::path& directory) : files_(directory) {}

    std::vector<std::string> list() override { return files_.list(); }
    File open(const std::string& name) override { return files_.open(name); }
    void close(File file) override { files_.close(file); }
    std::uint64_t size(File file) override { return files_.size(file); }
    std::size_t read(File file, std::uint64_t offset, std::span<char> into) override {
        return files_.read(file, offset, into);
    }
    void sync(File) override {}
    void remove(const std::string&) override {}
    void sync_directory() override {}
    File create(const std::string&, std::uint64_t) override {
        throw std::logic_error("a journal that is only read");
    }
    void write(File, std::uint64_t, std::span<iovec>) override {
        throw std::logic_error("a journal that is only read");
    }
    void rename(const std::string&, const std::string&) override {
        throw std::logic_error("a journal that is only read");
    }

  private:
    journal::DirectoryFiles files_;
};

/// The lock, so that no broker writes meanwhile, and the journal's folder.
class Opened {
  public:
    explicit Opened(const std::filesystem::path& path)
        : directory_(existing(path)), files(directory_.journal()) {}

  private:
    static const std::filesystem::path& existing(const std::filesystem::path& path) {
        if (!std::filesystem::is_directory(path / "journal"))
            throw std::runtime_error(fmt::format("{} is not a data directory with a journal", path.string()));
        return path;
    }
    const DataDirectory directory_;

  public:
    Untouched files;
};

bool report(const journal::Recovered& recovered, std::FILE* to) {
    for (const journal::Damage& damage : recovered.damages)
        fmt::print(to, "damaged: {} at {}, {} octets: {}\n", journal::segment_name(damage.segment),
                   damage.offset, damage.size, damage.text);
    return recovered.damages.empty();
}

}  // namespace

bool check_journal(const std::filesystem::path& data_directory) {
    Opened opened(data_directory);
    const journal::Recovered recovered = journal::recover(opened.files);
    const journal::State& state = recovered.state;
    for (const auto& segment : state.segments)
        fmt::print("{}: {} octets, {} living messages\n", journal::segment_name(segment.number), segment.size,
                   state.living.in_segment(segment.number));
    fmt::print("{} messages in {} octets live, the next batch is {}\n", state.living.messages(),
               state.living.octets(), state.next_sequence);
    return report(recovered, stdout);
}

bool dump_journal(const std::filesystem::path& data_directory) {
    Opened opened(data_directory);
    const journal::Recovered recovered = journal::recover(opened.files);
    journal::read_living(opened.files, recovered.state, [](const journal::LivingMessage& message) {
        std::string line =
            fmt::format("{{\"id\":\"{:016x}\",\"stamp\":{},\"queues\":[", message.id, message.stamp);
        for (std::size_t i = 0; i < message.holders.size(); ++i)
            line += fmt::format("{}{{\"queue\":{},\"deliveries\":{}}}", i == 0 ? "" : ",",
                                message.holders[i].queue, message.holders[i].deliveries);
        line += "],\"exchange\":";
        append_json_string(line, message.publication.exchange());
        line += ",\"routing_key\":";
        append_json_string(line, message.publication.routing_key());
        line += ",\"body\":";
        append_json_string(line, message.publication.body());
        fmt::print("{}}}\n", line);
    });
    return report(recovered, stderr);
}

}  // namespace trilby::broker
