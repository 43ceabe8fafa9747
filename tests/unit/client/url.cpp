// SPDX-License-Identifier: Apache-2.0
#include "client/url.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

using trilby::client::Url;

TEST_CASE("a URL without anything means the guest of the broker on this machine") {
    const auto url = Url::parse("amqp://");
    REQUIRE(url);
    CHECK(url->user == "guest");
    CHECK(url->password == "guest");
    CHECK(url->host == "127.0.0.1");
    CHECK(url->port == 5672);
    CHECK(url->virtual_host == "/");
    const auto full = Url::parse(Url::default_text);
    REQUIRE(full);
    CHECK(full->address() == url->address());
    CHECK(full->virtual_host == url->virtual_host);
}

TEST_CASE("user, password and virtual host of a URL are percent-decoded") {
    const auto url = Url::parse("amqp://ral%70h:p%40ss%3Aword%2f@broker.example.org:5673/%2Fpubsub");
    REQUIRE(url);
    CHECK(url->user == "ralph");
    CHECK(url->password == "p@ss:word/");
    CHECK(url->host == "broker.example.org");
    CHECK(url->port == 5673);
    CHECK(url->virtual_host == "/pubsub");
}

TEST_CASE("a URL's user without a password has an empty one") {
    const auto url = Url::parse("amqp://ralph@host");
    REQUIRE(url);
    CHECK(url->user == "ralph");
    CHECK(url->password.empty());
}

TEST_CASE("an IPv6 address stands in brackets, with or without a port") {
    const auto url = Url::parse("amqp://[::1]:7000/v");
    REQUIRE(url);
    CHECK(url->host == "::1");
    CHECK(url->port == 7000);
    CHECK(url->address() == "[::1]:7000");
    REQUIRE(Url::parse("amqp://[fe80::2]"));
    CHECK(Url::parse("amqp://[fe80::2]")->address() == "[fe80::2]:5672");
}

TEST_CASE("what follows a ? in a URL is for other clients and is left out") {
    const auto url = Url::parse("amqp://host/v?heartbeat=5");
    REQUIRE(url);
    CHECK(url->virtual_host == "v");
}

TEST_CASE("a URL that cannot be meant is refused with a sentence that quotes it") {
    for (const std::string_view text :
         {"", "localhost", "http://host", "amqps://host", "amqp://host:0", "amqp://host:65536",
          "amqp://host:56a", "amqp://host/a/b", "amqp://host/%2", "amqp://host/%zz", "amqp://us%er@host",
          "amqp://[::1", "amqp://[::1]5672"}) {
        CAPTURE(text);
        const auto url = Url::parse(text);
        REQUIRE_FALSE(url);
        CHECK(url.error().find(fmt::format("'{}'", text)) != std::string::npos);
    }
}
