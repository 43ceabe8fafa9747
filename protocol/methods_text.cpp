// SPDX-License-Identifier: Apache-2.0
#include "protocol/methods.hpp"
#include "protocol/quoted.hpp"

namespace trilby::protocol {

namespace {

void append_text(std::string& out, std::uint64_t value) {
    out += std::to_string(value);
}
void append_text(std::string& out, std::string_view value) {
    append_quoted(out, value);
}
void append_text(std::string& out, TableView value) {
    out += to_text(value);
}

template <class M, class T>
void append_field(std::string& out, const Field<M, T>& field, const M& method) {
    append_text(out, method.*field.member);
}
template <class M>
void append_field(std::string& out, const LongString<M>& field, const M& method) {
    append_text(out, method.*field.member);
}
template <class M>
void append_field(std::string& out, const Secret<M>& field, const M& method) {
    out += '(' + std::to_string((method.*field.member).size()) + " bytes)";
}

template <class M>
std::string text_of(const M& method) {
    std::string out{M::name};
    const auto append = [&](const auto& field) {
        out += ' ';
        out += field.name;
        out += '=';
        append_field(out, field, method);
    };
    std::apply([&](const auto&... field) { (append(field), ...); }, M::fields);
    return out;
}

}  // namespace

std::string to_text(const Method& method) {
    return std::visit([](const auto& alternative) { return text_of(alternative); }, method);
}

}  // namespace trilby::protocol
