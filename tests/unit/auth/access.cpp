// SPDX-License-Identifier: Apache-2.0
#include "auth/access.hpp"

#include <memory>
#include <set>
#include <string>

#include <doctest/doctest.h>

using namespace trilby::auth;

namespace {

Access with_user(std::string_view name, std::string_view password = "secret") {
    Access access;
    access.set_user(name, PasswordHash::of(password), {});
    return access;
}

}  // namespace

TEST_CASE("a user logs in with the password and nothing else") {
    const Access access = with_user("anna");
    CHECK(access.login("anna", "secret"));
    CHECK_FALSE(access.login("anna", "Secret"));
    CHECK_FALSE(access.login("Anna", "secret"));
    CHECK_FALSE(access.login("bob", "secret"));
    CHECK_FALSE(access.login("", ""));
}

TEST_CASE("a blank password is refused even where it is the password") {
    CHECK_FALSE(with_user("anna", "").login("anna", ""));
}

TEST_CASE("a user with the empty hash cannot log in with a password") {
    Access access;
    access.set_user("bodhi", PasswordHash{}, {});
    CHECK_FALSE(access.login("bodhi", "x"));
    CHECK_FALSE(access.login("bodhi", ""));
    CHECK(access.find_user("bodhi") != nullptr);
}

TEST_CASE("a virtual host may be opened when a row exists, even one that allows nothing") {
    Access access = with_user("anna");
    CHECK_FALSE(access.may_open("anna", "/"));
    REQUIRE(access.set_permission("anna", "/", "", "", ""));
    CHECK(access.may_open("anna", "/"));
    CHECK_FALSE(access.may_open("anna", "/other"));
    CHECK_FALSE(access.may_open("bob", "/"));
    CHECK_FALSE(access.allowed("anna", "/", Operation::read, "q"));
}

TEST_CASE("tags give no access") {
    Access access;
    access.set_user("root", PasswordHash::of("x"), {"administrator"});
    CHECK_FALSE(access.may_open("root", "/"));
    CHECK(access.find_user("root")->has_tag("administrator"));
    CHECK_FALSE(access.find_user("root")->has_tag("monitoring"));
}

TEST_CASE("each operation is checked against its own pattern, in its own virtual host") {
    Access access = with_user("anna");
    REQUIRE(access.set_permission("anna", "/", "^c", "^w", "^r"));
    REQUIRE(access.set_permission("anna", "/b", "", "^amq\\.default$", ".*"));
    CHECK(access.allowed("anna", "/", Operation::configure, "cx"));
    CHECK(access.allowed("anna", "/", Operation::write, "wx"));
    CHECK(access.allowed("anna", "/", Operation::read, "rx"));
    CHECK_FALSE(access.allowed("anna", "/", Operation::configure, "wx"));
    CHECK_FALSE(access.allowed("anna", "/", Operation::write, "rx"));
    CHECK_FALSE(access.allowed("anna", "/", Operation::read, "cx"));
    CHECK(access.allowed("anna", "/b", Operation::write, "amq.default"));
    CHECK_FALSE(access.allowed("anna", "/b", Operation::write, "amq.topic"));
    CHECK_FALSE(access.allowed("anna", "/b", Operation::configure, "cx"));
    CHECK_FALSE(access.allowed("bob", "/", Operation::read, "rx"));
    CHECK_FALSE(access.allowed("anna", "/c", Operation::read, "rx"));
}

TEST_CASE("without a topic row every key is allowed, with one its patterns decide") {
    Access access = with_user("anna");
    CHECK(access.topic_allowed("anna", "/", "amq.topic", Operation::write, "any.key"));
    REQUIRE(access.set_topic_permission("anna", "/", "amq.topic", "^a\\.", "^b\\."));
    CHECK(access.topic_allowed("anna", "/", "amq.topic", Operation::write, "a.x"));
    CHECK_FALSE(access.topic_allowed("anna", "/", "amq.topic", Operation::write, "b.x"));
    CHECK(access.topic_allowed("anna", "/", "amq.topic", Operation::read, "b.x"));
    CHECK_FALSE(access.topic_allowed("anna", "/", "amq.topic", Operation::read, "a.x"));
    CHECK(access.topic_allowed("anna", "/", "other", Operation::write, "b.x"));
    CHECK(access.topic_allowed("anna", "/b", "amq.topic", Operation::write, "b.x"));
    CHECK_FALSE(access.topic_allowed("nobody", "/", "amq.topic", Operation::write, "a.x"));
}

TEST_CASE("an empty topic pattern allows the empty key only") {
    Access access = with_user("anna");
    REQUIRE(access.set_topic_permission("anna", "/", "amq.topic", "", ""));
    CHECK(access.topic_allowed("anna", "/", "amq.topic", Operation::write, ""));
    CHECK_FALSE(access.topic_allowed("anna", "/", "amq.topic", Operation::write, "a"));
}

TEST_CASE("{username} and {vhost} in a topic pattern are replaced literally, other variables not at all") {
    Access access = with_user("a.b");
    REQUIRE(access.set_topic_permission("a.b", "/v", "t", "^{username}\\.{vhost}$", "^{client_id}$"));
    CHECK(access.topic_allowed("a.b", "/v", "t", Operation::write, "a.b./v"));
    CHECK(access.topic_allowed("a.b", "/v", "t", Operation::write, "axb./v"));  // not escaped
    CHECK_FALSE(access.topic_allowed("a.b", "/v", "t", Operation::write, "b.a./v"));
    CHECK(access.topic_allowed("a.b", "/v", "t", Operation::read, "{client_id}"));
    const auto& row = access.find_user("a.b")->topic_permissions.at("/v").at("t");
    CHECK(row.write_text == "^{username}\\.{vhost}$");
    CHECK(row.read_text == "^{client_id}$");
}

TEST_CASE("a variable's value is not searched for variables") {
    Access access = with_user("{vhost}");
    REQUIRE(access.set_topic_permission("{vhost}", "v", "t", "^{username}$", ""));
    CHECK(access.topic_allowed("{vhost}", "v", "t", Operation::write, "{vhost}"));
    CHECK_FALSE(access.topic_allowed("{vhost}", "v", "t", Operation::write, "v"));
}

TEST_CASE("a bad pattern is refused with its place, and the row stays as it was") {
    Access access = with_user("anna");
    REQUIRE(access.set_permission("anna", "/", "a", "a", "a"));
    const auto refused = access.set_permission("anna", "/", ".*", "(", ".*");
    REQUIRE_FALSE(refused);
    CHECK(
        refused.error() ==
        "write permission of user 'anna' in vhost '/': '(' is not a valid regular expression: missing ): (");
    CHECK_FALSE(access.allowed("anna", "/", Operation::configure, "b"));
    const auto topic = access.set_topic_permission("anna", "/", "amq.topic", "", "[");
    REQUIRE_FALSE(topic);
    CHECK(topic.error() ==
          "topic read (exchange 'amq.topic') permission of user 'anna' in vhost '/': '[' is not a "
          "valid regular expression: missing ]: [");
    CHECK(access.topic_allowed("anna", "/", "amq.topic", Operation::read, "x"));
}

TEST_CASE("permissions of a user who does not exist are refused") {
    Access access;
    REQUIRE_FALSE(access.set_permission("bob", "/", "", "", ""));
    CHECK(access.set_permission("bob", "/", "", "", "").error() == "there is no user 'bob'");
    CHECK(access.set_topic_permission("bob", "/", "t", "", "").error() == "there is no user 'bob'");
    CHECK_FALSE(access.clear_permission("bob", "/"));
    CHECK_FALSE(access.clear_topic_permission("bob", "/", "t"));
    CHECK_FALSE(access.clear_topic_permissions("bob", "/"));
    CHECK_FALSE(access.delete_user("bob"));
}

TEST_CASE("a new password or new tags leave the permissions, deletion does not") {
    Access access = with_user("anna");
    REQUIRE(access.set_permission("anna", "/", ".*", ".*", ".*"));
    access.set_user("anna", PasswordHash::of("other"), {"management"});
    CHECK(access.login("anna", "other"));
    CHECK_FALSE(access.login("anna", "secret"));
    CHECK(access.may_open("anna", "/"));
    CHECK(access.delete_user("anna"));
    CHECK_FALSE(access.login("anna", "other"));
    access.set_user("anna", PasswordHash::of("other"), {});
    CHECK_FALSE(access.may_open("anna", "/"));
}

TEST_CASE("cleared permissions are gone, and clearing says whether there was one") {
    Access access = with_user("anna");
    REQUIRE(access.set_permission("anna", "/", ".*", ".*", ".*"));
    REQUIRE(access.set_topic_permission("anna", "/", "t", "", ""));
    REQUIRE(access.set_topic_permission("anna", "/", "u", "", ""));
    CHECK(access.clear_permission("anna", "/"));
    CHECK_FALSE(access.clear_permission("anna", "/"));
    CHECK_FALSE(access.may_open("anna", "/"));
    CHECK(access.clear_topic_permission("anna", "/", "t"));
    CHECK_FALSE(access.clear_topic_permission("anna", "/", "t"));
    CHECK(access.topic_allowed("anna", "/", "t", Operation::write, "k"));
    CHECK_FALSE(access.topic_allowed("anna", "/", "u", Operation::write, "k"));
    CHECK(access.clear_topic_permissions("anna", "/"));
    CHECK_FALSE(access.clear_topic_permissions("anna", "/"));
    CHECK(access.topic_allowed("anna", "/", "u", Operation::write, "k"));
}

TEST_CASE("a virtual host that is gone takes its permissions along") {
    Access access = with_user("anna");
    access.set_user("bob", PasswordHash{}, {});
    REQUIRE(access.set_permission("anna", "/a", ".*", ".*", ".*"));
    REQUIRE(access.set_permission("anna", "/b", ".*", ".*", ".*"));
    REQUIRE(access.set_topic_permission("bob", "/a", "t", "", ""));
    access.clear_vhost("/a");
    CHECK_FALSE(access.may_open("anna", "/a"));
    CHECK(access.may_open("anna", "/b"));
    CHECK(access.topic_allowed("bob", "/a", "t", Operation::write, "k"));
}

TEST_CASE("a change of a copy is not seen by what was published") {
    auto published = std::make_shared<Access>(with_user("anna"));
    REQUIRE(published->set_permission("anna", "/", ".*", ".*", ".*"));
    const Permission* held = published->find_permission("anna", "/");
    Access changed = *published;
    CHECK(changed.clear_permission("anna", "/"));
    changed.set_user("anna", PasswordHash{}, {"monitoring"});
    changed.set_user("bob", PasswordHash{}, {});
    CHECK(published->may_open("anna", "/"));
    CHECK(published->login("anna", "secret"));
    CHECK(held == published->find_permission("anna", "/"));
    CHECK(held->allows(Operation::write, "q"));
    CHECK(published->user_count() == 1);
    CHECK(changed.user_count() == 2);
    CHECK_FALSE(changed.may_open("anna", "/"));
}

TEST_CASE("every user can be listed once") {
    Access access;
    for (const char* name : {"a", "b", "c"}) access.set_user(name, PasswordHash{}, {});
    std::multiset<std::string> seen;
    access.each_user([&](const User& user) { seen.insert(user.name); });
    CHECK(seen == std::multiset<std::string>{"a", "b", "c"});
}
