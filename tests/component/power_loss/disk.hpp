// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "broker/journal/files.hpp"

namespace trilby::power_loss {

/// A disk that forgets: what was synced is there, of the rest anything may be. It shows its user everything,
/// as a system's page cache does, and makes images of what a power cut would leave.
class Disk final : public broker::journal::Files {
  public:
    using Image = std::map<std::string, std::string>;

    Disk() = default;
    explicit Disk(const Image& image);

    /// Called before each operation takes effect; it may throw, and then there is none.
    std::function<void()> before_operation;
    /// So many octets of the next write are written before it fails; none: it does not fail.
    std::optional<std::size_t> write_fails_after;
    /// No new file has room.
    bool full = false;
    /// No file can be made or opened, for this reason; 0: they can.
    int nothing_opens = 0;
    /// Of files, so far.
    std::size_t syncs = 0;

    /// What may be there after a power cut at this moment. `sector`: unsynced writes are torn in pieces of so
    /// many octets.
    Image cut(std::minstd_rand& random, std::size_t sector) const;

    std::vector<std::string> list() override;
    File open(const std::string& name) override;
    File create(const std::string& name, std::uint64_t size) override;
    void close(File) override {}
    std::uint64_t size(File file) override { return files_[index(file)]->content.size(); }
    void write(File file, std::uint64_t offset, std::span<iovec> pieces) override;
    std::size_t read(File file, std::uint64_t offset, std::span<char> into) override;
    void sync(File file) override;
    void rename(const std::string& from, const std::string& to) override;
    void remove(const std::string& name) override;
    void sync_directory() override;

  private:
    struct Write {
        std::uint64_t offset;
        std::string octets;
    };
    struct Content {
        std::string content;  // as shown
        std::string safe;     // as synced
        std::vector<Write> unsynced;
    };
    using Names = std::map<std::string, std::shared_ptr<Content>>;
    struct NameChange {
        std::string from, to;  // empty: made, or removed
        std::shared_ptr<Content> content;
    };
    static std::size_t index(File file) { return static_cast<std::size_t>(file); }
    void note(NameChange change);
    static void apply(Names& names, const NameChange& change);

    std::vector<std::shared_ptr<Content>> files_;  // by handle
    Names names_;
    Names safe_names_;
    std::vector<NameChange> unsynced_names_;
};

}  // namespace trilby::power_loss
