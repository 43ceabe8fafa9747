// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace trilby::auth {

/// A password as RabbitMQ stores it: salt (4 bytes) followed by H(salt, password). Exported hashes are read
/// verbatim. The empty hash belongs to a user who cannot log in with a password.
class PasswordHash {
  public:
    enum class Algorithm { sha256, sha512, md5 };

    PasswordHash() = default;

    /// Accepts RabbitMQ's algorithm names ("rabbit_password_hashing_sha256", "_sha512", "_md5"); none means
    /// sha256. The error is a sentence without a subject's name: the caller knows whose hash it is.
    static std::expected<PasswordHash, std::string> from_base64(std::string_view hash,
                                                                std::string_view algorithm_name = {});

    /// A fresh hash: sha256 with a random salt.
    static PasswordHash of(std::string_view password);

    /// The time taken does not depend on where the hashes differ. The empty hash matches nothing.
    bool matches(std::string_view password) const;

    bool empty() const { return salted_.empty(); }
    std::string base64() const;
    std::string_view algorithm() const;

    bool operator==(const PasswordHash&) const = default;

  private:
    Algorithm algorithm_ = Algorithm::sha256;
    std::string salted_;  // salt and digest; empty, or exactly as long as the algorithm says
};

}  // namespace trilby::auth
