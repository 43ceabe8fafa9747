// SPDX-License-Identifier: Apache-2.0
#include "broker/server/quantities.hpp"

#include <doctest/doctest.h>

using std::chrono::microseconds;
using std::chrono::milliseconds;
using trilby::broker::parse_byte_size;
using trilby::broker::parse_duration;

TEST_CASE("a byte size is a whole number with an optional unit") {
    CHECK(parse_byte_size("0") == 0);
    CHECK(parse_byte_size("4096") == 4096);
    CHECK(parse_byte_size("4096B") == 4096);
    CHECK(parse_byte_size("128KiB") == 131'072);
    CHECK(parse_byte_size("512MiB") == 536'870'912);
    CHECK(parse_byte_size("3GiB") == 3'221'225'472);
    CHECK(parse_byte_size("1TiB") == 1'099'511'627'776);
    CHECK(parse_byte_size("2kB") == 2'000);
    CHECK(parse_byte_size("2MB") == 2'000'000);
    CHECK(parse_byte_size("2GB") == 2'000'000'000);
    CHECK(parse_byte_size("9223372036854775807") == 9'223'372'036'854'775'807ull);
}

TEST_CASE("what is no byte size is refused, and so is one past 63 bits") {
    for (const char* text : {"", "MiB", "-1", "+1", "1.5MiB", "1 MiB", " 1", "1 ", "1mib", "1M", "0x10",
                             "9223372036854775808", "8388608TiB", "99999999999999999999999"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_byte_size(text));
    }
    CHECK(parse_byte_size("1M").error() ==
          "\"1M\" is not a size: write a whole number with KiB, MiB, GiB, TiB, kB, MB, GB or TB, such as "
          "\"512MiB\"");
}

TEST_CASE("a duration is a whole number with a unit") {
    CHECK(parse_duration("0") == milliseconds{0});
    CHECK(parse_duration("0s") == milliseconds{0});
    CHECK(parse_duration("50us") == microseconds{50});
    CHECK(parse_duration("250ms") == milliseconds{250});
    CHECK(parse_duration("60s") == milliseconds{60'000});
    CHECK(parse_duration("30min") == milliseconds{1'800'000});
    CHECK(parse_duration("2h") == milliseconds{7'200'000});
    CHECK(parse_duration("1d") == milliseconds{86'400'000});
}

TEST_CASE("what is no duration is refused, and so is one past 63 bits") {
    for (const char* text :
         {"", "60", "s", "-1s", "1.5s", "1 s", "1S", "5m", "9223372036854775808ms", "106751992d"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration(text));
    }
    CHECK(parse_duration("60").error() ==
          "\"60\" is not a duration: write a whole number with us, ms, s, min, h or d, such as \"30min\"");
}
