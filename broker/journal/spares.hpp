// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/journal/files.hpp"
#include "broker/journal/shortage.hpp"

namespace trilby::broker::journal {

/// May the small file that was put aside for a full disk be used?
enum class Reserve : bool { untouched, usable };

/// Where the file of the next segment comes from: made ahead, used before, made at once, or put aside for a
/// full disk. The writer's thread. Throws std::system_error.
class Spares {
  public:
    struct Sizes {
        std::uint64_t segment;
        std::uint64_t hasty;  // of a file that is made at once, and of the reserve
        std::size_t spares;   // how many there should be
    };

    /// Removes what an earlier life left: its space may not be all there.
    Spares(Files& files, Sizes sizes);

    struct Fresh {
        Files::File file;
        std::uint64_t capacity;
    };
    /// A file of at least `size` octets under that name. Throws Shortage, and nothing has changed then.
    Fresh take(std::uint64_t size, const std::string& name, Reserve reserve);
    /// One of the usual size that was made elsewhere and synced, under a name that begins with "spare-".
    void add(std::string name) { names_.push_back(std::move(name)); }
    /// A segment that is no longer needed; false: it is not wanted, or the directory has no room for its new
    /// name.
    bool keep(const std::string& segment, std::uint64_t capacity);
    bool wanted() const { return names_.size() < sizes_.spares; }
    void make_reserve();

  private:
    /// Of a file that is there already. Throws Shortage: it needs a descriptor, and the name may need room in
    /// the directory.
    Files::File open_as(const std::string& from, const std::string& to);

    Files& files_;
    const Sizes sizes_;
    std::vector<std::string> names_;
    std::uint64_t next_ = 1;
    bool has_reserve_ = false;
};

}  // namespace trilby::broker::journal
