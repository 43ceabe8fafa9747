// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <sys/uio.h>

namespace trilby::broker::journal {

/// The files of one journal, all in one directory, as the journal sees them: what a test replaces by a disk
/// that forgets. Every function throws std::system_error. A few calls for a batch, so a virtual one costs
/// nothing.
class Files {
  public:
    using File = int;

    virtual ~Files() = default;
    virtual std::vector<std::string> list() = 0;
    virtual File open(const std::string& name) = 0;
    /// A new file of `size` octets of zeros, written and synced, so that no later write needs space or
    /// changes its size.
    virtual File create(const std::string& name, std::uint64_t size) = 0;
    virtual void close(File file) = 0;
    virtual std::uint64_t size(File file) = 0;
    /// All of it, however often the system writes less.
    virtual void write(File file, std::uint64_t offset, std::span<iovec> pieces) = 0;
    /// Returns fewer than asked for at the end of the file.
    virtual std::size_t read(File file, std::uint64_t offset, std::span<char> into) = 0;
    virtual void sync(File file) = 0;
    virtual void rename(const std::string& from, const std::string& to) = 0;
    virtual void remove(const std::string& name) = 0;
    /// Names made, changed and removed before are there, or gone, whatever happens.
    virtual void sync_directory() = 0;
};

/// A directory, made if it is missing (0700); files 0600.
class DirectoryFiles final : public Files {
  public:
    explicit DirectoryFiles(std::filesystem::path directory);
    ~DirectoryFiles() override;
    DirectoryFiles(const DirectoryFiles&) = delete;
    DirectoryFiles& operator=(const DirectoryFiles&) = delete;

    std::vector<std::string> list() override;
    File open(const std::string& name) override;
    File create(const std::string& name, std::uint64_t size) override;
    void close(File file) override;
    std::uint64_t size(File file) override;
    void write(File file, std::uint64_t offset, std::span<iovec> pieces) override;
    std::size_t read(File file, std::uint64_t offset, std::span<char> into) override;
    void sync(File file) override;
    void rename(const std::string& from, const std::string& to) override;
    void remove(const std::string& name) override;
    void sync_directory() override;

  private:
    const std::filesystem::path directory_;
    int handle_ = -1;
};

}  // namespace trilby::broker::journal
