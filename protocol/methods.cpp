// SPDX-License-Identifier: Apache-2.0
#include "protocol/methods.hpp"

#include <array>
#include <utility>

namespace trilby::protocol {

namespace {

struct Entry {
    MethodId id;
    std::string_view name;
    bool (*decode)(std::string_view arguments, Method& method);
};

template <class M>
bool decode_into(std::string_view arguments, Method& method) {
    return decode_arguments(arguments, method.emplace<M>());
}

template <class... M>
constexpr auto entries_of(std::variant<M...>*) {
    return std::array{Entry{M::id, M::name, &decode_into<M>}...};
}
constexpr auto entries = entries_of(static_cast<Method*>(nullptr));

constexpr std::size_t id_limit = 128;  // of classes and of methods in a class
constexpr std::uint8_t no_entry = 255;
static_assert(entries.size() < no_entry);

consteval auto index_entries() {
    std::array<std::uint8_t, id_limit * id_limit> index{};
    index.fill(no_entry);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        auto& slot = index.at(entries[i].id.class_id * id_limit + entries[i].id.method_id);
        if (slot != no_entry) throw "two methods share an id";
        slot = static_cast<std::uint8_t>(i);
    }
    return index;
}
constexpr auto entry_by_id = index_entries();

const Entry* find_entry(MethodId id) {
    if (id.class_id >= id_limit || id.method_id >= id_limit) return nullptr;
    const auto index = entry_by_id[id.class_id * id_limit + id.method_id];
    return index != no_entry ? &entries[index] : nullptr;
}

}  // namespace

std::expected<Method, DecodeError> decode_method(std::string_view payload) {
    Reader from{payload};
    MethodId id;
    id.class_id = from.short_int();
    id.method_id = from.short_int();
    if (!from.ok()) return std::unexpected(DecodeError{{}, false, payload});

    const auto* entry = find_entry(id);
    if (entry == nullptr) return std::unexpected(DecodeError{id, true, from.rest()});

    std::expected<Method, DecodeError> result;
    if (!entry->decode(from.rest(), *result)) result = std::unexpected(DecodeError{id, false, from.rest()});
    return result;
}

std::string_view method_name(MethodId id) {
    const auto* entry = find_entry(id);
    return entry != nullptr ? entry->name : std::string_view{};
}

void append_method(std::string& out, std::uint16_t channel, const Method& method) {
    std::visit([&](const auto& alternative) { append_method(out, channel, alternative); }, method);
}

}  // namespace trilby::protocol
