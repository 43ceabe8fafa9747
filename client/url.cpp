// SPDX-License-Identifier: Apache-2.0
#include "client/url.hpp"

#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace trilby::client {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            out.push_back(text[at]);
            continue;
        }
        if (text.size() - at < 3) return std::nullopt;
        const int high = hex_digit(text[at + 1]), low = hex_digit(text[at + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out.push_back(static_cast<char>(high * 16 + low));
        at += 2;
    }
    return out;
}

std::optional<std::uint16_t> port_number(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

struct HostAndPort {
    std::string_view host, port;
};

std::optional<HostAndPort> split_host(std::string_view text) {
    if (!text.starts_with('[')) {
        const auto colon = text.find(':');
        if (colon == std::string_view::npos) return HostAndPort{text, {}};
        return HostAndPort{text.substr(0, colon), text.substr(colon + 1)};
    }
    const auto bracket = text.find(']');
    if (bracket == std::string_view::npos) return std::nullopt;
    const auto rest = text.substr(bracket + 1);
    if (!rest.empty() && rest[0] != ':') return std::nullopt;
    return HostAndPort{text.substr(1, bracket - 1), rest.empty() ? rest : rest.substr(1)};
}

}  // namespace

std::expected<Url, std::string> Url::parse(std::string_view text) {
    const auto refuse = [text](std::string_view why) {
        return std::unexpected(
            fmt::format("'{}' is no broker URL: {}. Write amqp://user:password@host:port/vhost.", text, why));
    };
    constexpr std::string_view scheme = "amqp://";
    if (text.starts_with("amqps://")) return refuse("TLS (amqps) is not offered by this command");
    if (!text.starts_with(scheme)) return refuse("it does not start with amqp://");
    std::string_view rest = text.substr(scheme.size());

    Url url;
    if (const auto slash = rest.find('/'); slash != std::string_view::npos) {
        std::string_view path = rest.substr(slash + 1);
        if (const auto query = path.find('?'); query != std::string_view::npos) path = path.substr(0, query);
        const auto virtual_host = percent_decoded(path);
        if (!virtual_host) return refuse("a % in the virtual host is not followed by two hexadecimal digits");
        if (path.find('/') != std::string_view::npos) return refuse("a / in a virtual host is written %2F");
        if (!path.empty()) url.virtual_host = *virtual_host;
        rest = rest.substr(0, slash);
    }
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
        const std::string_view login = rest.substr(0, at);
        const auto colon = login.find(':');
        const auto user = percent_decoded(login.substr(0, colon));
        const auto password =
            percent_decoded(colon == std::string_view::npos ? std::string_view{} : login.substr(colon + 1));
        if (!user || !password) return refuse("a % in the login is not followed by two hexadecimal digits");
        url.user = *user;
        url.password = *password;
        rest = rest.substr(at + 1);
    }
    const auto address = split_host(rest);
    if (!address) return refuse("the address in brackets does not end");
    if (!address->host.empty()) url.host = std::string(address->host);
    if (!address->port.empty()) {
        const auto port = port_number(address->port);
        if (!port) return refuse(fmt::format("'{}' is no port from 1 to 65535", address->port));
        url.port = *port;
    }
    return url;
}

std::string Url::address() const {
    return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                               : fmt::format("[{}]:{}", host, port);
}

}  // namespace trilby::client
