// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <expected>
#include <fstream>
#include <istream>
#include <optional>
#include <string>

#include "client/message_json.hpp"
#include "program/command_line.hpp"

namespace trilby::client {

/// A file of messages, a JSON object a line, read one by one: it may be larger than memory.
class MessageFile {
  public:
    /// "-" is standard input.
    static std::expected<MessageFile, Failed> open(std::string name);

    /// Nothing: that was all. The failure names the line.
    std::expected<std::optional<Outgoing>, Failed> next();
    /// To the first message again; false: it can be read only once.
    bool rewind();

  private:
    explicit MessageFile(std::string name) : name_(std::move(name)) {}
    std::istream& stream();

    std::string name_;
    std::ifstream file_;
    std::size_t line_number_ = 0;
    std::string line_;
    simdjson::dom::parser parser_;
};

}  // namespace trilby::client
