// SPDX-License-Identifier: Apache-2.0
#include "routing/argument_pool.hpp"

#include <algorithm>
#include <tuple>
#include <vector>

#include "routing/hash.hpp"

namespace trilby::routing {

std::string canonical(protocol::TableView arguments) {
    std::vector<protocol::TableView::Field> fields(arguments.begin(), arguments.end());
    std::ranges::sort(fields, {}, [](const auto& field) {
        return std::tuple(field.name, field.value.type, field.value.bytes);
    });
    protocol::TableBuilder builder;
    for (auto field : fields) {
        if (field.value.type == 'L') field.value.type = 'l';  // read as signed, so no other value
        builder.value(field.name, field.value);
    }
    return builder.take();
}

ArgumentsId ArgumentPool::find(const std::string& form, std::uint32_t hash) const {
    return index_.find(hash, [&](ArgumentsId each) { return canonical(get(each)) == form; });
}

ArgumentsId ArgumentPool::find(protocol::TableView arguments) const {
    if (arguments.empty()) return 0;
    const std::string form = canonical(arguments);
    return find(form, static_cast<std::uint32_t>(hash_bytes(form)));
}

ArgumentsId ArgumentPool::intern(const protocol::SharedTable& arguments) {
    if (arguments.raw().empty()) return 0;
    const std::string form = canonical(arguments);
    const auto hash = static_cast<std::uint32_t>(hash_bytes(form));
    auto id = find(form, hash);
    if (id == none) {
        index_.make_room();
        if (entries_.end() == 0) entries_.add();  // number 0
        id = entries_.add();
        entries_[id] = {arguments, hash, 0};
        octets_ += arguments.raw().size();
        index_.insert(hash, id);
    }
    ++entries_[id].users;
    return id;
}

void ArgumentPool::release(ArgumentsId id) {
    if (id == 0 || --entries_[id].users > 0) return;
    octets_ -= entries_[id].raw.raw().size();
    index_.erase(entries_[id].hash, id);
    entries_.remove(id);
}

}  // namespace trilby::routing
