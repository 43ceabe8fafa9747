// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/spares.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace trilby::broker::journal {

namespace {
const std::string reserve_name = "spare-reserve";
}  // namespace

bool is_no_space(const std::system_error& error) {
    return error.code().value() == ENOSPC || error.code().value() == EDQUOT;
}

Spares::Spares(Files& files, Sizes sizes) : files_(files), sizes_(sizes) {
    for (const std::string& name : files_.list())
        if (name.starts_with("spare-")) files_.remove(name);
}

Spares::Fresh Spares::take(std::uint64_t size, const std::string& name, Reserve reserve) {
    if (size <= sizes_.segment && !names_.empty()) {
        rename(names_.back(), name);
        names_.pop_back();
        const Files::File file = files_.open(name);
        return {file, files_.size(file)};
    }
    const std::uint64_t capacity = std::max(size, sizes_.hasty);
    try {
        return {files_.create(name, capacity), capacity};
    } catch (const std::system_error& error) {
        if (!is_no_space(error)) throw;
        if (reserve != Reserve::usable || !has_reserve_ || size > sizes_.hasty)
            throw NoSpace(error.code(), error.what());
    }
    rename(reserve_name, name);
    has_reserve_ = false;
    return {files_.open(name), sizes_.hasty};
}

bool Spares::keep(const std::string& segment, std::uint64_t capacity) {
    if (!wanted() || capacity != sizes_.segment) return false;
    std::string name = "spare-" + std::to_string(next_++);
    try {
        rename(segment, name);
    } catch (const NoSpace&) {
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
        if (!is_no_space(error)) throw;
    }
}

void Spares::rename(const std::string& from, const std::string& to) {
    try {
        files_.rename(from, to);
    } catch (const std::system_error& error) {
        if (is_no_space(error)) throw NoSpace(error.code(), error.what());
        throw;
    }
}

}  // namespace trilby::broker::journal
