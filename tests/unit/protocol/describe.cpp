// SPDX-License-Identifier: Apache-2.0
// Prints every declaration of protocol/ on a line, for compare_with_xml.py:
//   method CLASS-ID METHOD-ID CLASS.METHOD FIELD:TYPE ...
//   property BIT NAME:TYPE
#include <cstdio>
#include <string>
#include <tuple>
#include <variant>

#include "protocol/methods.hpp"
#include "protocol/properties.hpp"

using namespace trilby::protocol;

namespace {

template <class T>
constexpr std::string_view type_name();
template <>
constexpr std::string_view type_name<std::uint8_t>() {
    return "octet";
}
template <>
constexpr std::string_view type_name<std::uint16_t>() {
    return "short";
}
template <>
constexpr std::string_view type_name<std::uint32_t>() {
    return "long";
}
template <>
constexpr std::string_view type_name<std::uint64_t>() {
    return "longlong";
}
template <>
constexpr std::string_view type_name<bool>() {
    return "bit";
}
template <>
constexpr std::string_view type_name<std::string_view>() {
    return "shortstr";
}
template <>
constexpr std::string_view type_name<TableView>() {
    return "table";
}

template <class M, class T>
constexpr std::string_view type_of(const Field<M, T>&) {
    return type_name<T>();
}
template <class T>
constexpr std::string_view type_of(const Field<Properties, std::optional<T>>&) {
    return type_name<T>();
}
template <class M>
constexpr std::string_view type_of(const LongString<M>&) {
    return "longstr";
}
template <class M>
constexpr std::string_view type_of(const Secret<M>&) {
    return "longstr";
}

template <class F>
std::string description(const F& field) {
    return ' ' + std::string{field.name} + ':' + std::string{type_of(field)};
}

template <class M>
void describe() {
    std::string line =
        "method " + std::to_string(M::id.class_id) + ' ' + std::to_string(M::id.method_id) + ' ';
    line += M::name;
    std::apply([&](const auto&... field) { ((line += description(field)), ...); }, M::fields);
    std::puts(line.c_str());
}

template <class... M>
void describe_all(std::variant<M...>*) {
    (describe<M>(), ...);
}

}  // namespace

int main() {
    describe_all(static_cast<Method*>(nullptr));
    int bit = 15;
    const auto describe_property = [&](const auto& field) {
        std::puts(("property " + std::to_string(bit--) + description(field)).c_str());
    };
    std::apply([&](const auto&... field) { (describe_property(field), ...); }, Properties::fields);
}
