// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "protocol/field_table.hpp"
#include "protocol/shared_table.hpp"
#include "routing/flat_table.hpp"
#include "routing/slab.hpp"

namespace trilby::routing {

using ArgumentsId = std::uint32_t;

/// The same bytes for the same fields, in whatever order.
std::string canonical(protocol::TableView arguments);

/// The argument tables of bindings, each once. Two tables are the same when they have the same fields with
/// the same types and values, in any order. Number 0 is the empty table, which costs nothing.
class ArgumentPool {
  public:
    static constexpr ArgumentsId none = FlatIndex::none;

    /// Adds a user.
    ArgumentsId intern(const protocol::SharedTable& arguments);
    void release(ArgumentsId id);
    ArgumentsId find(protocol::TableView arguments) const;  ///< or none
    /// Of all tables.
    std::size_t octets() const { return octets_; }
    /// As first given. Stays until the last user has released it.
    protocol::TableView get(ArgumentsId id) const {
        return id == 0 ? protocol::TableView() : protocol::TableView(entries_[id].raw.raw());
    }

  private:
    struct Entry {
        protocol::SharedTable raw;
        std::uint32_t hash = 0;
        std::uint32_t users = 0;
    };

    ArgumentsId find(const std::string& form, std::uint32_t hash) const;

    Slab<Entry, 6> entries_;
    std::size_t octets_ = 0;
    FlatIndex index_;
};

}  // namespace trilby::routing
