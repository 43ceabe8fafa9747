// SPDX-License-Identifier: Apache-2.0
#include "tests/component/power_loss/disk.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace trilby::power_loss {

Disk::Disk(const Image& image) {
    for (const auto& [name, octets] : image) {
        auto content = std::make_shared<Content>();
        content->content = content->safe = octets;
        names_.emplace(name, content);
    }
    safe_names_ = names_;
}

std::vector<std::string> Disk::list() {
    std::vector<std::string> names;
    for (const auto& [name, content] : names_) names.push_back(name);
    return names;
}

Disk::File Disk::open(const std::string& name) {
    if (nothing_opens != 0) throw std::system_error(nothing_opens, std::system_category(), name);
    const auto found = names_.find(name);
    if (found == names_.end()) throw std::system_error(ENOENT, std::system_category(), name);
    files_.push_back(found->second);
    return static_cast<File>(files_.size() - 1);
}

Disk::File Disk::create(const std::string& name, std::uint64_t size) {
    if (before_operation) before_operation();
    if (nothing_opens != 0) throw std::system_error(nothing_opens, std::system_category(), name);
    if (full) throw std::system_error(ENOSPC, std::system_category(), name);
    auto content = std::make_shared<Content>();
    content->content = content->safe = std::string(size, '\0');
    files_.push_back(content);
    note({"", name, content});
    return static_cast<File>(files_.size() - 1);
}

void Disk::write(File file, std::uint64_t offset, std::span<iovec> pieces) {
    if (before_operation) before_operation();
    std::string octets;
    for (const iovec& piece : pieces) octets.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
    const bool fails = write_fails_after.has_value();
    if (fails) octets.resize(std::min(octets.size(), *std::exchange(write_fails_after, std::nullopt)));
    Content& content = *files_[index(file)];
    if (offset + octets.size() > content.content.size())
        throw std::system_error(ENOSPC, std::system_category());
    std::memcpy(content.content.data() + offset, octets.data(), octets.size());
    content.unsynced.push_back({offset, std::move(octets)});
    if (fails) throw std::system_error(EIO, std::system_category());
}

std::size_t Disk::read(File file, std::uint64_t offset, std::span<char> into) {
    const std::string& content = files_[index(file)]->content;
    if (offset >= content.size()) return 0;
    const std::size_t size = std::min(into.size(), content.size() - offset);
    std::memcpy(into.data(), content.data() + offset, size);
    return size;
}

void Disk::sync(File file) {
    ++syncs;
    if (before_operation) before_operation();
    Content& content = *files_[index(file)];
    content.safe = content.content;
    content.unsynced.clear();
}

void Disk::rename(const std::string& from, const std::string& to) {
    if (before_operation) before_operation();
    const std::shared_ptr<Content> content = names_.at(from);
    note({from, to, content});
}

void Disk::remove(const std::string& name) {
    if (before_operation) before_operation();
    note({name, "", nullptr});
}

void Disk::sync_directory() {
    if (before_operation) before_operation();
    safe_names_ = names_;
    unsynced_names_.clear();
}

void Disk::note(NameChange change) {
    apply(names_, change);
    unsynced_names_.push_back(std::move(change));
}

void Disk::apply(Names& names, const NameChange& change) {
    if (!change.from.empty()) names.erase(change.from);
    if (!change.to.empty()) names[change.to] = change.content;
}

Disk::Image Disk::cut(std::minstd_rand& random, std::size_t sector) const {
    Names names = safe_names_;
    switch (random() % 4) {
        case 0: break;
        case 1:
            for (const NameChange& change : unsynced_names_) apply(names, change);
            break;
        case 2: {
            const std::size_t kept = unsynced_names_.empty() ? 0 : random() % (unsynced_names_.size() + 1);
            for (std::size_t i = 0; i < kept; ++i) apply(names, unsynced_names_[i]);
            break;
        }
        default:
            for (const NameChange& change : unsynced_names_)
                if (random() % 2 == 0) apply(names, change);
    }
    Image image;
    for (const auto& [name, content] : names) {
        std::string octets = content->safe;
        const auto how = random() % 5;
        for (const Write& write : content->unsynced) {
            if (how == 0 || (how == 2 && random() % 2 == 0)) continue;
            if (how < 3) {
                octets.replace(write.offset, write.octets.size(), write.octets);
                continue;
            }
            // Sectors at random, or all but a stretch of them.
            const std::size_t from = random() % (write.octets.size() + 1);
            const std::size_t to = from + random() % (write.octets.size() - from + 1);
            for (std::size_t at = 0; at < write.octets.size();) {
                const std::size_t size =
                    std::min(write.octets.size() - at, sector - (write.offset + at) % sector);
                if (how == 3 ? random() % 2 == 0 : at < from || at >= to)
                    octets.replace(write.offset + at, size, write.octets, at, size);
                at += size;
            }
        }
        image.emplace(name, std::move(octets));
    }
    return image;
}

}  // namespace trilby::power_loss
