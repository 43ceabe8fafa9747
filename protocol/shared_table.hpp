// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "protocol/field_table.hpp"

namespace trilby::protocol {

/// A field table that many keep and nobody changes: its octets are there once, for all copies. Copies may
/// belong to any threads.
class SharedTable {
  public:
    SharedTable() = default;
    /// The table without its length. Empty, it costs nothing.
    SharedTable(std::string raw)
        : raw_(raw.empty() ? nullptr : std::make_shared<const std::string>(std::move(raw))) {}
    SharedTable(TableView table) : SharedTable(std::string(table.raw())) {}

    std::string_view raw() const { return raw_ == nullptr ? std::string_view{} : std::string_view(*raw_); }
    operator TableView() const { return TableView(raw()); }

  private:
    std::shared_ptr<const std::string> raw_;
};

}  // namespace trilby::protocol
