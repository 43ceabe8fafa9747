// SPDX-License-Identifier: Apache-2.0
#include "broker/asking/direct_reply.hpp"

#include <charconv>
#include <stdexcept>

#include <fmt/format.h>
#include <sys/random.h>

namespace trilby::broker {

namespace {

constexpr std::size_t digits = 16 + 4 + 16;

template <class T>
bool read_hex(std::string_view text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string ReplyAddress::name() const {
    return fmt::format("{}.{:016x}{:04x}{:016x}", direct_reply_name, std::to_underlying(connection), channel,
                       secret);
}

std::optional<ReplyAddress> ReplyAddress::parse(std::string_view name) {
    if (name.size() != direct_reply_name.size() + 1 + digits || !name.starts_with(direct_reply_name) ||
        name[direct_reply_name.size()] != '.')
        return std::nullopt;
    name.remove_prefix(direct_reply_name.size() + 1);
    std::uint64_t connection = 0;
    ReplyAddress address;
    if (!read_hex(name.substr(0, 16), connection) || !read_hex(name.substr(16, 4), address.channel) ||
        !read_hex(name.substr(20, 16), address.secret))
        return std::nullopt;
    address.connection = AskerId{connection};
    return address;
}

std::uint64_t random_secret() {
    std::uint64_t secret;
    if (::getrandom(&secret, sizeof secret, 0) != sizeof secret)
        throw std::runtime_error("the kernel gives no random octets");
    return secret;
}

}  // namespace trilby::broker
