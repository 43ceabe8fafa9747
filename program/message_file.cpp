// SPDX-License-Identifier: Apache-2.0
#include "program/message_file.hpp"

#include <cerrno>
#include <cstring>
#include <iostream>
#include <utility>

#include <fmt/format.h>

namespace trilby::client {

std::expected<MessageFile, Failed> MessageFile::open(std::string name) {
    MessageFile file(std::move(name));
    if (file.name_ != "-") file.file_.open(file.name_, std::ios::binary);
    if (!file.stream()) return trouble(fmt::format("Cannot read {}: {}.", file.name_, std::strerror(errno)));
    return file;
}

std::istream& MessageFile::stream() {
    return name_ == "-" ? std::cin : file_;
}

std::expected<std::optional<Outgoing>, Failed> MessageFile::next() {
    while (std::getline(stream(), line_)) {
        ++line_number_;
        if (line_.find_first_not_of(" \t\r") == std::string::npos) continue;
        simdjson::dom::element element;
        const auto error = parser_.parse(line_).get(element);
        auto message =
            error == simdjson::SUCCESS
                ? outgoing_from_json(element)
                : std::unexpected(fmt::format("it is no JSON ({})", simdjson::error_message(error)));
        if (message) return std::move(*message);
        return trouble(fmt::format("{}:{}: this line cannot be replayed: {}. Correct or remove it.", name_,
                                   line_number_, message.error()));
    }
    if (stream().bad()) return trouble(fmt::format("Cannot read {}: {}.", name_, std::strerror(errno)));
    return std::nullopt;
}

bool MessageFile::rewind() {
    line_number_ = 0;
    if (name_ == "-") return false;
    file_.clear();
    return file_.seekg(0).good();
}

}  // namespace trilby::client
