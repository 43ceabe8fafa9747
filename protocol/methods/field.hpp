// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>
#include <tuple>

#include "protocol/field_table.hpp"
#include "protocol/method_id.hpp"

// What a method declaration is made of. A field's wire type follows from its member's type: integers by
// width, bool a bit, string_view a short string, TableView a table. Long strings say so.

namespace trilby::protocol {

template <class M, class T>
struct Field {
    std::string_view name{};
    T M::*member;
};
template <class M, class T>
Field(const char*, T M::*) -> Field<M, T>;

template <class M>
struct LongString {
    std::string_view name{};
    std::string_view M::*member;
};
template <class M>
LongString(const char*, std::string_view M::*) -> LongString<M>;

/// A long string that no log may show.
template <class M>
struct Secret {
    std::string_view name{};
    std::string_view M::*member;
};
template <class M>
Secret(const char*, std::string_view M::*) -> Secret<M>;

}  // namespace trilby::protocol
