// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "protocol/methods/field.hpp"

// Class 90.

namespace trilby::protocol::tx {

struct Select {
    static constexpr MethodId id{90, 10};
    static constexpr std::string_view name = "tx.select";
    static constexpr std::tuple<> fields{};
};

struct SelectOk {
    static constexpr MethodId id{90, 11};
    static constexpr std::string_view name = "tx.select-ok";
    static constexpr std::tuple<> fields{};
};

struct Commit {
    static constexpr MethodId id{90, 20};
    static constexpr std::string_view name = "tx.commit";
    static constexpr std::tuple<> fields{};
};

struct CommitOk {
    static constexpr MethodId id{90, 21};
    static constexpr std::string_view name = "tx.commit-ok";
    static constexpr std::tuple<> fields{};
};

struct Rollback {
    static constexpr MethodId id{90, 30};
    static constexpr std::string_view name = "tx.rollback";
    static constexpr std::tuple<> fields{};
};

struct RollbackOk {
    static constexpr MethodId id{90, 31};
    static constexpr std::string_view name = "tx.rollback-ok";
    static constexpr std::tuple<> fields{};
};

}  // namespace trilby::protocol::tx
