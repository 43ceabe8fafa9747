// SPDX-License-Identifier: Apache-2.0
#include "protocol/base64.hpp"

#include <doctest/doctest.h>

using trilby::protocol::base64;
using trilby::protocol::from_base64;

TEST_CASE("base64 pads what is left of the last three octets") {
    CHECK(base64("") == "");
    CHECK(base64("f") == "Zg==");
    CHECK(base64("fo") == "Zm8=");
    CHECK(base64("foo") == "Zm9v");
    CHECK(base64("foobar") == "Zm9vYmFy");
}

TEST_CASE("base64 is read back, and nothing else is taken for it") {
    for (const std::string& octets :
         {std::string(), std::string("f"), std::string("\0\xff\x80", 3), std::string(1000, '\0')})
        CHECK(from_base64(base64(octets)) == octets);
    for (const std::string_view text :
         {"Zg=", "Zg", "Zh==", " Zg==", "Zg==\n", "Z===", "====", "Zm9v=", "Zm-_", "Zg==Zg=="}) {
        CAPTURE(text);
        CHECK_FALSE(from_base64(text));
    }
}
