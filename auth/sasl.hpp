// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace trilby::auth {

struct Credentials {
    std::string user, password;

    bool operator==(const Credentials&) const = default;
};

// What a client answers in connection.start-ok. None means malformed: a protocol error, not a refused login.

/// PLAIN (RFC 4616) as RabbitMQ reads it: NUL user NUL password. An authorisation identity must be absent.
std::optional<Credentials> parse_plain(std::string_view response);

/// AMQPLAIN: a field table without its length, with the long strings LOGIN and PASSWORD.
std::optional<Credentials> parse_amqplain(std::string_view response);

}  // namespace trilby::auth
