// SPDX-License-Identifier: Apache-2.0
#include "routing/name.hpp"

#include <doctest/doctest.h>

using namespace trilby::routing;

TEST_CASE("a routing key is a signal of a domain") {
    const auto name = SignalName::parse("org.fedoraproject.prod.bodhi.update.request.testing");
    REQUIRE(name);
    CHECK(name->signal == "testing");
    CHECK(name->domain.environment() == "prod");
    CHECK(name->domain.service() == "bodhi");
    CHECK(name->domain.subdomains() == std::vector<std::string_view>{"update", "request"});
    CHECK(name->domain.text() == "org.fedoraproject.prod.bodhi.update.request");
    CHECK(name->text() == "org.fedoraproject.prod.bodhi.update.request.testing");
    CHECK(domain_of("org.fedoraproject.prod.bodhi.update.request.testing") == name->domain);
}

TEST_CASE("the environment word may be missing, as in the proposal of 2009") {
    const auto name = SignalName::parse("org.fedoraproject.koji.build-done");
    REQUIRE(name);
    CHECK_FALSE(name->domain.environment());
    CHECK(name->domain.service() == "koji");
    CHECK(name->domain.subdomains().empty());
    CHECK(name->text() == "org.fedoraproject.koji.build-done");
}

TEST_CASE("what does not follow the standard is no name, and belongs to no domain") {
    for (const auto* wrong :
         {"", "org", "org.fedoraproject", "org.fedoraproject.", "org.fedoraproject.prod",
          "org.fedoraprojects.koji.x", "org.centos.prod.koji.x", "org.fedoraproject..x",
          "org.fedoraproject.koji.", "org.fedoraproject.koji.a b", "org.fedoraproject.koji.*",
          "org.fedoraproject.#.x", "org.fedoraproject.prod.stg.x", "org.fedoraproject.k\xc3\xb6ji.x"}) {
        CAPTURE(wrong);
        CHECK_FALSE(SignalName::parse(wrong));
        CHECK_FALSE(domain_of(wrong));
    }
    CHECK_FALSE(SignalName::parse("org.fedoraproject.koji"));
    CHECK(Domain::parse("org.fedoraproject.koji"));
    CHECK_FALSE(Domain::parse("org.fedoraproject.koji." + std::string(240, 'x')));
    CHECK(Domain::parse("org.fedoraproject.prod").error() ==
          "A name has a service behind org.fedoraproject.");
}

TEST_CASE("a domain contains itself and its subdomains, in its environment or in any") {
    const auto domain = [](const char* text) { return Domain::parse(text).value(); };
    const auto bodhi = domain("org.fedoraproject.bodhi"), update = domain("org.fedoraproject.bodhi.update");
    const auto staged = domain("org.fedoraproject.stg.bodhi.update");
    CHECK(bodhi.contains(bodhi));
    CHECK(bodhi.contains(update));
    CHECK(bodhi.contains(staged));
    CHECK_FALSE(update.contains(bodhi));
    CHECK(staged.contains(domain("org.fedoraproject.stg.bodhi.update.x")));
    CHECK_FALSE(staged.contains(update));
    CHECK_FALSE(bodhi.contains(domain("org.fedoraproject.bodhi2")));
}
