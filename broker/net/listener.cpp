// SPDX-License-Identifier: Apache-2.0
#include "broker/net/listener.hpp"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>
#include <fmt/format.h>

namespace trilby::broker {
namespace {

std::unexpected<std::string> no_listener(std::string_view text, std::string_view advice) {
    return std::unexpected(fmt::format("\"{}\" is no address to listen on: {}", text, advice));
}

}  // namespace

std::expected<Listener, std::string> parse_listener(std::string_view text) {
    constexpr std::string_view form = "write HOST:PORT, such as \"127.0.0.1:5672\" or \"[::1]:5672\"";
    const auto colon = text.rfind(':');
    if (colon == text.npos) return no_listener(text, form);
    auto host = text.substr(0, colon);
    const auto port_text = text.substr(colon + 1);
    if (host.starts_with('[')) {
        if (!host.ends_with(']')) return no_listener(text, form);
        host = host.substr(1, host.size() - 2);
        in6_addr address{};
        if (host.find('\0') != host.npos ||
            ::inet_pton(AF_INET6, std::string{host.substr(0, host.find('%'))}.c_str(), &address) != 1) {
            return no_listener(text, "what stands in the brackets is not an IPv6 address");
        }
    } else if (host.find(':') != host.npos) {
        return no_listener(text, "an IPv6 address stands in brackets, such as \"[::1]:5672\"");
    } else if (std::ranges::any_of(host, [](char c) { return static_cast<unsigned char>(c) <= ' '; })) {
        return no_listener(text, form);
    } else if (host.empty() || host == "*") {
        return no_listener(text, "for every address of the machine write \"0.0.0.0:PORT\" and \"[::]:PORT\"");
    }
    std::uint16_t port = 0;
    const auto read = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
    if (read.ec != std::errc{} || read.ptr != port_text.data() + port_text.size()) {
        return no_listener(text, "the port is a number from 0 to 65535");
    }
    return Listener{std::string{host}, port};
}

std::string to_text(const Listener& listener) {
    const bool v6 = listener.host.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", v6 ? "[" : "", listener.host, v6 ? "]" : "", listener.port);
}

}  // namespace trilby::broker
