// SPDX-License-Identifier: Apache-2.0
// A field table, valid or not: walked, searched, printed and built again.
#include "protocol/field_table.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/fuzz/require.hpp"

using namespace trilby::protocol;
using trilby::fuzz::require;

namespace {

std::string rebuilt(ArrayView array);

std::string rebuilt(TableView table) {
    TableBuilder builder;
    for (const auto& [name, value] : table) {
        require(!type_word(value.type).empty());
        require(table.find(name).has_value());
        if (const auto inner = value.as_table()) {
            builder.table(name, TableView{rebuilt(*inner)});
        } else if (const auto array = value.as_array()) {
            builder.array(name, rebuilt(*array));
        } else if (value.type == 'l') {
            builder.integer(name, value.as_integer().value());
        } else if (value.type == 'S') {
            builder.string(name, value.as_string().value());
        } else {
            builder.value(name, value);
        }
    }
    return builder.take();
}

std::string rebuilt(ArrayView array) {
    ArrayBuilder builder;
    for (const auto& value : array) {
        if (const auto inner = value.as_table()) {
            builder.table(TableView{rebuilt(*inner)});
        } else if (const auto nested = value.as_array()) {
            builder.value({'A', rebuilt(*nested)});
        } else {
            builder.value(value);
        }
    }
    return builder.take();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view raw{reinterpret_cast<const char*>(data), size};
    const TableView table{raw};
    to_text(table);
    table.find("x-match");
    if (valid_table(raw)) require(rebuilt(table) == raw);
    if (valid_array(raw)) require(rebuilt(ArrayView{raw}) == raw);
    return 0;
}
