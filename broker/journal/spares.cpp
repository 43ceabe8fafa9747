// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/spares.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

namespace trilby::broker::journal {

namespace {
const std::string reserve_name = "spare-reserve";
}  // namespace

Spares::Spares(Files& files, Sizes sizes) : files_(files), sizes_(sizes) {
    for (const std::string& name : files_.list())
        if (name.starts_with("spare-")) files_.remove(name);
}

Spares::Fresh Spares::take(std::uint64_t size, const std::string& name, Reserve reserve) {
    if (size <= sizes_.segment && !names_.empty()) {
        const Files::File file = open_as(names_.back(), name);
        names_.pop_back();
        return {file, files_.size(file)};
    }
    const std::uint64_t capacity = std::max(size, sizes_.hasty);
    try {
        return {files_.create(name, capacity), capacity};
    } catch (const std::system_error& error) {
        if (!is_shortage(error)) throw;
        if (reserve != Reserve::usable || !has_reserve_ || size > sizes_.hasty)
            throw Shortage(error.code(), error.what());
    }
    const Files::File file = open_as(reserve_name, name);
    has_reserve_ = false;
    return {file, sizes_.hasty};
}

bool Spares::keep(const std::string& segment, std::uint64_t capacity) {
    if (!wanted() || capacity != sizes_.segment) return false;
    std::string name = "spare-" + std::to_string(next_++);
    try {
        files_.rename(segment, name);
    } catch (const std::system_error& error) {
        if (!is_shortage(error)) throw;
        return false;
    }
    add(std::move(name));
    return true;
}

void Spares::make_reserve() {
    if (has_reserve_) return;
    try {
        files_.close(files_.create(reserve_name, sizes_.hasty));
        has_reserve_ = true;
    } catch (const std::system_error& error) {
        if (!is_shortage(error)) throw;
    }
}

Files::File Spares::open_as(const std::string& from, const std::string& to) {
    try {
        const Files::File file = files_.open(from);
        try {
            files_.rename(from, to);
        } catch (...) {
            files_.close(file);
            throw;
        }
        return file;
    } catch (const std::system_error& error) {
        if (is_shortage(error)) throw Shortage(error.code(), error.what());
        throw;
    }
}

}  // namespace trilby::broker::journal
