// SPDX-License-Identifier: Apache-2.0
#include "program/journal_command.hpp"

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/catalog/store.hpp"
#include "broker/definitions/definitions.hpp"
#include "broker/journal/recovery.hpp"
#include "broker/message/message.hpp"
#include "broker/server/data_directory.hpp"
#include "broker/server/pairing.hpp"
#include "client/message_json.hpp"

namespace trilby::broker {

namespace {

/// A folder that goes with this object.
class TemporaryCopy {
  public:
    TemporaryCopy() {
        std::string name = (std::filesystem::temp_directory_path() / "trilby-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr)
            throw std::system_error(errno, std::system_category(), "making " + name);
        path_ = name;
    }
    ~TemporaryCopy() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryCopy(const TemporaryCopy&) = delete;
    TemporaryCopy& operator=(const TemporaryCopy&) = delete;
    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
};

using Queues = std::unordered_map<journal::StoredQueue, QueueDefinition>;

/// The lock, so that no broker writes meanwhile, and the journal's folder.
class Opened {
  public:
    explicit Opened(const std::filesystem::path& path)
        : directory_(existing(path)), files(directory_.journal()) {
        read_catalog();
        recovered =
            journal::recover(files, catalog_ == nullptr ? journal::Remembered{} : catalog_->journal());
        if (catalog_ != nullptr)
            mismatch = mismatch_of(*catalog_, recovered.state, recovered.damages).sentences;
    }

    /// What a start would report; true: nothing.
    bool report(std::FILE* to) {
        for (const journal::Damage& damage : recovered.damages)
            fmt::print(to, "damaged: {}\n", to_text(damage));
        for (const std::string& name : recovered.aside) fmt::print(to, "cannot be placed: {}\n", name);
        for (const std::string& sentence : mismatch) fmt::print(to, "not together: {}\n", sentence);
        for (const std::string& name : files.list())
            if (name.find(".aside") != std::string::npos) fmt::print(to, "moved aside earlier: {}\n", name);
        return recovered.damages.empty() && mismatch.empty();
    }

    /// The durable queues, by their numbers. Nothing: there is no catalog that would know.
    std::optional<Queues> queues() const {
        if (catalog_ == nullptr || !mismatch.empty()) return std::nullopt;
        Queues queues;
        Definitions definitions = catalog_->load();
        for (QueueDefinition& queue : definitions.queues) queues.emplace(queue.id, std::move(queue));
        return queues;
    }

  private:
    static std::filesystem::path existing(std::filesystem::path path) {
        if (!std::filesystem::is_directory(path / "journal"))
            throw std::runtime_error(fmt::format("{} is not a data directory with a journal", path.string()));
        return path;
    }
    /// From a copy: SQLite changes what it opens.
    void read_catalog() {
        try {
            refuse_lost_catalog(directory_);
            if (!std::filesystem::exists(directory_.catalog())) return;
            for (const char* part : {"", "-wal"})
                if (const std::string from = directory_.catalog().string() + part;
                    std::filesystem::exists(from))
                    std::filesystem::copy_file(from, copy_.path() / (std::string("catalog.sqlite") + part));
            catalog_ = std::make_unique<CatalogStore>(copy_.path() / "catalog.sqlite");
        } catch (const std::runtime_error& error) {
            mismatch.push_back(error.what());
        }
    }

    const DataDirectory directory_;
    const TemporaryCopy copy_;
    std::unique_ptr<CatalogStore> catalog_;  // none: it cannot be read

  public:
    journal::DirectoryFiles files;
    journal::Recovered recovered;
    std::vector<std::string> mismatch;  // of catalog and journal
};

/// Nothing: all queues that held it are deleted, as the next start will find.
std::optional<client::Circumstances> circumstances_of(std::span<const journal::Living::Holder> holders,
                                                      const std::optional<Queues>& queues) {
    client::Circumstances circumstances;
    if (!queues) return circumstances;
    for (const auto& holder : holders) {
        const auto queue = queues->find(holder.queue);
        if (queue == queues->end()) continue;
        circumstances.virtual_host = queue->second.vhost;
        circumstances.held_by.push_back({queue->second.name, holder.deliveries});
    }
    if (circumstances.held_by.empty()) return std::nullopt;
    return circumstances;
}

}  // namespace

bool check_journal(const std::filesystem::path& data_directory) {
    Opened opened(data_directory);
    const journal::State& state = opened.recovered.state;
    for (const auto& segment : state.segments)
        fmt::print("{}: {} octets, {} living messages\n", journal::segment_name(segment.number), segment.size,
                   state.living.in_segment(segment.number));
    fmt::print("{} messages in {} octets live, the next batch is {}\n", state.living.messages(),
               state.living.octets(), state.next_sequence);
    return opened.report(stdout);
}

bool dump_journal(const std::filesystem::path& data_directory, const std::optional<std::string>& vhost) {
    Opened opened(data_directory);
    const auto queues = opened.queues();
    journal::read_in_order(opened.files, opened.recovered, [&](const journal::LivingMessage& message) {
        const auto& publication = message.publication;
        const auto circumstances = circumstances_of(message.holders, queues);
        if (!circumstances || (vhost && circumstances->virtual_host != vhost)) return;
        fmt::print("{}\n", client::message_to_json({publication.exchange(), publication.routing_key(),
                                                    publication.properties(), publication.body()},
                                                   *circumstances));
    });
    return opened.report(stderr);
}

}  // namespace trilby::broker
