// SPDX-License-Identifier: Apache-2.0
#include "protocol/base64.hpp"

#include <openssl/evp.h>

namespace trilby::protocol {
namespace {

const unsigned char* octets_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string base64(std::string_view octets) {
    std::string text((octets.size() + 2) / 3 * 4 + 1, '\0');  // OpenSSL writes a zero behind it
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), octets_of(octets),
                                     static_cast<int>(octets.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

std::optional<std::string> from_base64(std::string_view text) {
    std::string octets(text.size() / 4 * 3 + 3, '\0');
    const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(octets.data()), octets_of(text),
                                     static_cast<int>(text.size()));
    if (size < 0) return std::nullopt;
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    octets.resize(static_cast<std::size_t>(size) - padding);
    // OpenSSL forgives white space and misplaced padding.
    return base64(octets) == text ? std::optional(std::move(octets)) : std::nullopt;
}

}  // namespace trilby::protocol
