// SPDX-License-Identifier: Apache-2.0
#include "auth/password_hash.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <optional>
#include <stdexcept>
#include <utility>

// The digests by themselves: OpenSSL's newer interface loads its providers for them, a fifth of what an idle
// broker has in memory.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <unistd.h>

#include "protocol/base64.hpp"

namespace trilby::auth {
namespace {

constexpr std::size_t salt_size = 4;

struct Named {
    PasswordHash::Algorithm algorithm;
    std::string_view name;
    std::size_t digest_size;
    void (*digest)(std::string_view salt, std::string_view password, unsigned char* into);
};

template <class Context, auto Init, auto Update, auto Final>
void digest(std::string_view salt, std::string_view password, unsigned char* into) {
    Context context;
    Init(&context);
    Update(&context, salt.data(), salt.size());
    Update(&context, password.data(), password.size());
    Final(into, &context);
    OPENSSL_cleanse(&context, sizeof context);
}

constexpr std::array algorithms{
    Named{PasswordHash::Algorithm::sha256, "rabbit_password_hashing_sha256", 32,
          &digest<SHA256_CTX, SHA256_Init, SHA256_Update, SHA256_Final>},
    Named{PasswordHash::Algorithm::sha512, "rabbit_password_hashing_sha512", 64,
          &digest<SHA512_CTX, SHA512_Init, SHA512_Update, SHA512_Final>},
    Named{PasswordHash::Algorithm::md5, "rabbit_password_hashing_md5", 16,
          &digest<MD5_CTX, MD5_Init, MD5_Update, MD5_Final>},
};

const Named& named(PasswordHash::Algorithm algorithm) {
    return *std::ranges::find(algorithms, algorithm, &Named::algorithm);
}

std::string salted_digest(const Named& algorithm, std::string_view salt, std::string_view password) {
    std::string result{salt};
    result.resize(salt_size + algorithm.digest_size);
    algorithm.digest(salt, password, reinterpret_cast<unsigned char*>(result.data() + salt_size));
    return result;
}

}  // namespace

std::expected<PasswordHash, std::string> PasswordHash::from_base64(std::string_view hash,
                                                                   std::string_view algorithm_name) {
    if (algorithm_name.empty()) algorithm_name = algorithms.front().name;
    const auto algorithm = std::ranges::find(algorithms, algorithm_name, &Named::name);
    if (algorithm == algorithms.end()) {
        return std::unexpected(fmt::format(
            "the hashing algorithm '{}' is unknown; use rabbit_password_hashing_sha256, _sha512 or _md5",
            algorithm_name));
    }
    PasswordHash result;
    result.algorithm_ = algorithm->algorithm;
    if (hash.empty()) return result;
    constexpr std::size_t longest = 1024;
    auto bytes = hash.size() > longest ? std::nullopt : protocol::from_base64(hash);
    if (!bytes) return std::unexpected("the password hash is not base64");
    if (bytes->size() != salt_size + algorithm->digest_size) {
        return std::unexpected(
            fmt::format("the password hash has {} bytes where {} needs {} (4 of salt and the digest); "
                        "a user without a password has the empty hash \"\"",
                        bytes->size(), algorithm->name, salt_size + algorithm->digest_size));
    }
    result.salted_ = std::move(*bytes);
    return result;
}

PasswordHash PasswordHash::of(std::string_view password) {
    std::string salt(salt_size, '\0');
    if (::getentropy(salt.data(), salt.size()) != 0)
        throw std::runtime_error("the system has no random bytes for the salt of a password");
    PasswordHash result;
    result.salted_ = salted_digest(named(result.algorithm_), salt, password);
    return result;
}

bool PasswordHash::matches(std::string_view password) const {
    if (empty()) return false;
    const std::string other =
        salted_digest(named(algorithm_), std::string_view{salted_}.substr(0, salt_size), password);
    return other.size() == salted_.size() && CRYPTO_memcmp(other.data(), salted_.data(), other.size()) == 0;
}

std::string PasswordHash::base64() const {
    return protocol::base64(salted_);
}

std::string_view PasswordHash::algorithm() const {
    return named(algorithm_).name;
}

}  // namespace trilby::auth
