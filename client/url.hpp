// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace trilby::client {

/// Where a broker is and as whom to log in: amqp://user:password@host:port/vhost, every part but the scheme
/// optional.
struct Url {
    static constexpr std::string_view default_text = "amqp://guest:guest@127.0.0.1:5672/%2F";

    std::string user = "guest";
    std::string password = "guest";
    std::string host = "127.0.0.1";
    std::uint16_t port = 5672;
    std::string virtual_host = "/";

    /// The error is a sentence for the person who typed the URL.
    static std::expected<Url, std::string> parse(std::string_view text);

    /// host:port, with an IPv6 address in brackets: what messages call the broker.
    std::string address() const;
};

}  // namespace trilby::client
