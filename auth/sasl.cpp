// SPDX-License-Identifier: Apache-2.0
#include "auth/sasl.hpp"

#include "protocol/field_table.hpp"

namespace trilby::auth {

std::optional<Credentials> parse_plain(std::string_view response) {
    if (!response.starts_with('\0')) return std::nullopt;
    response.remove_prefix(1);
    const auto separator = response.find('\0');
    if (separator == response.npos || response.find('\0', separator + 1) != response.npos)
        return std::nullopt;
    return Credentials{std::string{response.substr(0, separator)},
                       std::string{response.substr(separator + 1)}};
}

std::optional<Credentials> parse_amqplain(std::string_view response) {
    if (!protocol::valid_table(response)) return std::nullopt;
    const protocol::TableView table{response};
    const auto login = table.find("LOGIN");
    const auto password = table.find("PASSWORD");
    if (!login || login->type != 'S' || !password || password->type != 'S') return std::nullopt;
    return Credentials{std::string{login->bytes}, std::string{password->bytes}};
}

}  // namespace trilby::auth
