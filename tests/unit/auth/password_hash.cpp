// SPDX-License-Identifier: Apache-2.0
#include "auth/password_hash.hpp"

#include <doctest/doctest.h>

using trilby::auth::PasswordHash;

namespace {

// From RabbitMQ's own documentation: the password "test12" with the salt 90 8D C6 0A.
constexpr const char* documented = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";

}  // namespace

TEST_CASE("a sha256 hash exported by RabbitMQ matches its password and no other") {
    const auto hash = PasswordHash::from_base64(documented, "rabbit_password_hashing_sha256");
    REQUIRE(hash);
    CHECK(hash->matches("test12"));
    CHECK_FALSE(hash->matches("test1"));
    CHECK_FALSE(hash->matches("test123"));
    CHECK_FALSE(hash->matches("Test12"));
    CHECK_FALSE(hash->matches(""));
}

TEST_CASE("sha512 and md5 hashes match, and passwords are raw bytes") {
    const auto sha512 = PasswordHash::from_base64(
        "AP+AAVcyniMMLJdYRGLIsfabQBR6Kyf4fUaRSxI5kB83flop4K+hinfNGhWBwOFOltpg6xG/mrYE4hgIojv4l2oR/fk=",
        "rabbit_password_hashing_sha512");
    REQUIRE(sha512);
    CHECK(sha512->matches("p\xC3\xA4 ss"));
    CHECK_FALSE(sha512->matches("p\xE4 ss"));
    const auto md5 = PasswordHash::from_base64("AP+AAZRYRrkJsl1Jni9/FQ6AWAA=", "rabbit_password_hashing_md5");
    REQUIRE(md5);
    CHECK(md5->matches("p\xC3\xA4 ss"));
    CHECK_FALSE(md5->matches("p\xE4 ss"));
}

TEST_CASE("a hash is exported as it was imported") {
    const auto hash =
        PasswordHash::from_base64("AP+AAZRYRrkJsl1Jni9/FQ6AWAA=", "rabbit_password_hashing_md5");
    REQUIRE(hash);
    CHECK(hash->base64() == "AP+AAZRYRrkJsl1Jni9/FQ6AWAA=");
    CHECK(hash->algorithm() == "rabbit_password_hashing_md5");
}

TEST_CASE("without an algorithm a hash is sha256") {
    const auto hash = PasswordHash::from_base64(documented);
    REQUIRE(hash);
    CHECK(hash->algorithm() == "rabbit_password_hashing_sha256");
    CHECK(hash->matches("test12"));
}

TEST_CASE("the empty hash matches no password, not even the empty one") {
    const auto hash = PasswordHash::from_base64("", "rabbit_password_hashing_sha512");
    REQUIRE(hash);
    CHECK(hash->empty());
    CHECK(hash->base64() == "");
    CHECK(hash->algorithm() == "rabbit_password_hashing_sha512");
    CHECK_FALSE(hash->matches(""));
    CHECK_FALSE(hash->matches("test12"));
}

TEST_CASE("a fresh hash matches its password, has a salt of its own and survives export") {
    const auto hash = PasswordHash::of("secret");
    const auto again = PasswordHash::of("secret");
    CHECK(hash.matches("secret"));
    CHECK_FALSE(hash.matches("Secret"));
    // Two equal salts in a row have a chance of one in four milliards.
    CHECK(hash.base64() != again.base64());
    const auto imported = PasswordHash::from_base64(hash.base64(), hash.algorithm());
    REQUIRE(imported);
    CHECK(*imported == hash);
}

TEST_CASE("what is not canonical base64 is refused") {
    for (const char* text : {"kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2PO", "not base64!!",
                             "====", " kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2PO",
                             "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR\n\n\n\n",
                             "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30-P6tENUV2POR"}) {
        CAPTURE(text);
        const auto hash = PasswordHash::from_base64(text);
        REQUIRE_FALSE(hash);
        CHECK(hash.error() == "the password hash is not base64");
    }
}

TEST_CASE("a hash that cannot be of the algorithm is refused with both lengths") {
    const auto hash = PasswordHash::from_base64(documented, "rabbit_password_hashing_sha512");
    REQUIRE_FALSE(hash);
    CHECK(hash.error() ==
          "the password hash has 36 bytes where rabbit_password_hashing_sha512 needs 68 (4 of salt and the "
          "digest); a user without a password has the empty hash \"\"");
}

TEST_CASE("an unknown hashing algorithm is refused by name") {
    const auto hash = PasswordHash::from_base64(documented, "bcrypt");
    REQUIRE_FALSE(hash);
    CHECK(hash.error() ==
          "the hashing algorithm 'bcrypt' is unknown; use rabbit_password_hashing_sha256, _sha512 or _md5");
}
