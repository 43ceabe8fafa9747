// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace trilby::broker {

/// The broker's own directory, made if it is missing (0700), and locked for as long as this object lives: a
/// second broker on it is refused.
class DataDirectory {
  public:
    /// Throws std::runtime_error with a sentence for the operator.
    explicit DataDirectory(std::filesystem::path path);
    ~DataDirectory();
    DataDirectory(const DataDirectory&) = delete;
    DataDirectory& operator=(const DataDirectory&) = delete;

    const std::filesystem::path& path() const { return path_; }
    /// Names that were made or changed in it are on the disk then. Throws std::system_error.
    void sync() const;
    /// Its folder of messages.
    std::filesystem::path journal() const { return path_ / "journal"; }
    /// Its file of definitions.
    std::filesystem::path catalog() const { return catalog_in(path_); }
    static std::filesystem::path catalog_in(const std::filesystem::path& directory) {
        return directory / "catalog.sqlite";
    }

  private:
    std::filesystem::path path_;
    int lock_ = -1;
};

}  // namespace trilby::broker
