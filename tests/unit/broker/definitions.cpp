// SPDX-License-Identifier: Apache-2.0
#include "broker/definitions.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>

#include "auth/password_hash.hpp"
#include "broker/json_table.hpp"
#include "protocol/field_table.hpp"

using namespace trilby::broker;
using trilby::protocol::TableBuilder;
using trilby::protocol::TableView;

namespace {

Definitions parse(std::string_view json) {
    auto result = parse_definitions(json);
    REQUIRE_MESSAGE(result, result.error());
    return *std::move(result);
}

std::string error_of(std::string_view json) {
    const auto result = parse_definitions(json);
    return result ? "accepted" : result.error();
}

/// The arguments of a queue that is declared with this JSON.
std::string arguments(const std::string& json) {
    return parse(R"({"queues":[{"name":"q","vhost":"/","durable":true,"arguments":)" + json + "}]}")
        .queues[0]
        .arguments;
}
std::string arguments_error(const std::string& json) {
    return error_of(R"({"queues":[{"name":"q","vhost":"/","durable":true,"arguments":)" + json + "}]}");
}

constexpr std::string_view example = R"({
 "rabbit_version": "3.12.0",
 "users": [
  {"name": "bodhi", "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": [],
   "limits": {}},
  {"name": "root", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
   "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["administrator", "management"]}
 ],
 "vhosts": [{"name": "/"}, {"name": "/pubsub", "description": "the bus", "tags": ["a"],
             "default_queue_type": "quorum"}],
 "permissions": [{"user": "bodhi", "vhost": "/pubsub", "configure": "^$", "write": "^(amq\\.topic)$", "read": ".*"}],
 "topic_permissions": [{"user": "bodhi", "vhost": "/pubsub", "exchange": "amq.topic", "write": "^org\\.", "read": ""}],
 "exchanges": [{"name": "x", "vhost": "/", "type": "topic", "durable": true, "auto_delete": false, "internal": true,
                "arguments": {"alternate-exchange": "ae"}}],
 "queues": [{"name": "bodhi", "vhost": "/pubsub", "durable": true, "auto_delete": true,
             "arguments": {"x-message-ttl": 864000000}}],
 "bindings": [
  {"source": "amq.topic", "vhost": "/pubsub", "destination": "bodhi", "destination_type": "queue",
   "routing_key": "org.#", "arguments": {}},
  {"source": "x", "vhost": "/", "destination": "amq.topic", "destination_type": "exchange", "routing_key": ""}],
 "policies": [{"vhost": "/", "name": "HA", "pattern": ".*", "definition": {"ha-mode": "all"}, "priority": 0}],
 "parameters": [{"vhost": "/", "component": "vhost-limits", "name": "limits", "value": {"max-queues": 5}}],
 "global_parameters": [{"name": "cluster_name", "value": "rabbit@x"}],
 "something_new": {"is": "ignored"}
})";

/// None: the reference data is not at hand.
std::string corpus() {
    const char* named = std::getenv("TRILBY_SHARED");
    const auto shared = named != nullptr ? std::filesystem::path{named}
                                         : std::filesystem::path{TRILBY_SOURCE_ROOT} / "../shared";
    std::ifstream file{shared / "corpus/definitions.json", std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace

TEST_CASE("every section of an export is read") {
    const auto read = parse(example);
    CHECK(read.rabbit_version == "3.12.0");
    REQUIRE(read.users.size() == 2);
    CHECK(read.users[0] == UserDefinition{"bodhi", "", "rabbit_password_hashing_sha256", {}});
    CHECK(read.users[1].password_hash == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR");
    CHECK(read.users[1].tags == std::vector<std::string>{"administrator", "management"});
    REQUIRE(read.vhosts.size() == 2);
    CHECK(read.vhosts[0] == VhostDefinition{"/", "", {}, ""});
    CHECK(read.vhosts[1] == VhostDefinition{"/pubsub", "the bus", {"a"}, "quorum"});
    REQUIRE(read.permissions.size() == 1);
    CHECK(read.permissions[0] == PermissionDefinition{"bodhi", "/pubsub", "^$", "^(amq\\.topic)$", ".*"});
    REQUIRE(read.topic_permissions.size() == 1);
    CHECK(read.topic_permissions[0] ==
          TopicPermissionDefinition{"bodhi", "/pubsub", "amq.topic", "^org\\.", ""});
    REQUIRE(read.exchanges.size() == 1);
    CHECK(read.exchanges[0] == ExchangeDefinition{"/", "x", "topic", true, false, true,
                                                  TableBuilder{}.string("alternate-exchange", "ae").take()});
    REQUIRE(read.queues.size() == 1);
    CHECK(read.queues[0] == QueueDefinition{"/pubsub", "bodhi", true, true,
                                            TableBuilder{}.integer("x-message-ttl", 864000000).take()});
    REQUIRE(read.bindings.size() == 2);
    CHECK(read.bindings[0] == BindingDefinition{"/pubsub", "amq.topic", "bodhi", true, "org.#", ""});
    CHECK(read.bindings[1] == BindingDefinition{"/", "x", "amq.topic", false, "", ""});
    REQUIRE(read.policies.size() == 1);
    CHECK(read.policies[0] ==
          VerbatimDefinition{
              "/", "HA",
              R"({"vhost":"/","name":"HA","pattern":".*","definition":{"ha-mode":"all"},"priority":0})"});
    REQUIRE(read.parameters.size() == 1);
    CHECK(read.parameters[0].vhost == "/");
    CHECK(read.parameters[0].json ==
          R"({"vhost":"/","component":"vhost-limits","name":"limits","value":{"max-queues":5}})");
    REQUIRE(read.global_parameters.size() == 1);
    CHECK(read.global_parameters[0] ==
          VerbatimDefinition{"", "cluster_name", R"({"name":"cluster_name","value":"rabbit@x"})"});
}

TEST_CASE(
    "what newer exports say in a virtual host's metadata is read, and an undefined queue type is none") {
    const auto vhost = [](const std::string& keys) {
        return parse(R"({"vhosts":[{"name":"v",)" + keys + "}]}").vhosts[0];
    };
    CHECK(vhost(R"("metadata":{"description":"d","tags":["t"],"default_queue_type":"quorum"})") ==
          VhostDefinition{"v", "d", {"t"}, "quorum"});
    CHECK(vhost(R"("description":"a","metadata":{"description":"d"})") == VhostDefinition{"v", "a", {}, ""});
    CHECK(vhost(R"("default_queue_type":"undefined")") == VhostDefinition{"v", "", {}, ""});
    CHECK(error_of(R"({"vhosts":[{"name":"v","metadata":{"tags":5}}]})") ==
          R"(vhosts[0].metadata: "tags" must be a string, not 5)");
    CHECK(error_of(R"({"vhosts":[{"name":"v","metadata":5}]})") ==
          "vhosts[0].metadata must be an object, not 5");
}

TEST_CASE("null is the same as absent") {
    CHECK(parse(R"({"vhosts":[{"name":"v","description":null,"tags":null,"default_queue_type":null}]})")
              .vhosts[0] == VhostDefinition{"v", "", {}, ""});
    CHECK(error_of(R"({"queues":[{"name":"q","vhost":"/","durable":null}]})") ==
          R"(queues[0] has no "durable")");
    CHECK(arguments("null") == "");
}

TEST_CASE("every section may be missing") {
    CHECK(parse("{}") == Definitions{});
}

TEST_CASE("tags are a list, or one string with commas") {
    const auto tags = [](const std::string& json) {
        return parse(R"({"users":[{"name":"u","tags":)" + json + "}]}").users[0].tags;
    };
    CHECK(tags(R"(["a","b c"])") == std::vector<std::string>{"a", "b c"});
    CHECK(tags(R"("a,b, c ")") == std::vector<std::string>{"a", "b", "c"});
    CHECK(tags(R"("")") == std::vector<std::string>{});
    CHECK(tags(R"(",")") == std::vector<std::string>{});
    CHECK(error_of(R"({"users":[{"name":"u","tags":[1]}]})") ==
          R"(users[0]: "tags" must be a string, not 1)");
}

TEST_CASE("a hash without an algorithm is md5 before RabbitMQ 3.6 and sha256 since") {
    const auto algorithm = [](const std::string& version) {
        return parse(R"({"rabbit_version":")" + version + R"(","users":[{"name":"u","password_hash":""}]})")
            .users[0]
            .hashing_algorithm;
    };
    CHECK(algorithm("3.5.7") == "rabbit_password_hashing_md5");
    CHECK(algorithm("2.8.1") == "rabbit_password_hashing_md5");
    CHECK(algorithm("3.6.0") == "rabbit_password_hashing_sha256");
    CHECK(algorithm("3.12.0") == "rabbit_password_hashing_sha256");
    CHECK(algorithm("4.0.1") == "rabbit_password_hashing_sha256");
    CHECK(algorithm("") == "rabbit_password_hashing_sha256");
    CHECK(algorithm("3") == "rabbit_password_hashing_sha256");
}

TEST_CASE("a password in clear is hashed when it is read") {
    const auto user = parse(R"({"users":[{"name":"u","password":"secret"}]})").users.at(0);
    const auto hash = trilby::auth::PasswordHash::from_base64(user.password_hash, user.hashing_algorithm);
    REQUIRE(hash);
    CHECK(hash->matches("secret"));
    CHECK(error_of(R"({"users":[{"name":"u","password":"secret","password_hash":""}]})") ==
          R"(users[0] has both "password" and "password_hash": remove one)");
}

TEST_CASE("a hash that cannot be one is refused with the user's name") {
    CHECK(error_of(R"({"users":[{"name":"u","password_hash":"###"}]})") ==
          "users[0]: user 'u': the password hash is not base64");
    CHECK(error_of(R"({"users":[{"name":"u","password_hash":"","hashing_algorithm":"x"}]})") ==
          "users[0]: user 'u': the hashing algorithm 'x' is unknown; use rabbit_password_hashing_sha256, "
          "_sha512 or "
          "_md5");
}

TEST_CASE("a value of the wrong type is named with its place") {
    CHECK(
        error_of(
            R"({"queues":[{"name":"a","vhost":"/","durable":true},{"name":"b","vhost":"/","durable":"yes"}]})") ==
        R"(queues[1]: "durable" must be true or false, not "yes")");
    CHECK(error_of(R"({"queues":[{"name":5,"vhost":"/","durable":true}]})") ==
          R"(queues[0]: "name" must be a string, not 5)");
    CHECK(error_of(R"({"queues":[7]})") == "queues[0] must be an object, not 7");
    CHECK(error_of(R"({"queues":{"a":1}})") == R"("queues" must be a list, not {"a":1})");
    CHECK(error_of(R"([])") == R"(definitions are an object with lists such as "queues", not [])");
    CHECK(
        error_of(
            R"({"bindings":[{"vhost":"/","source":"x","destination":"q","routing_key":"","destination_type":"topic"}]})") ==
        R"(bindings[0]: "destination_type" must be "queue" or "exchange", not "topic")");
    CHECK(error_of(R"({"rabbit_version":3})") == R"(the document: "rabbit_version" must be a string, not 3)");
}

TEST_CASE("a key that is missing is named with its place") {
    CHECK(error_of(R"({"permissions":[{"user":"u","vhost":"/","configure":"","write":""}]})") ==
          R"(permissions[0] has no "read")");
    CHECK(error_of(R"({"vhosts":[{}]})") == R"(vhosts[0] has no "name")");
    CHECK(error_of(R"({"policies":[{"vhost":"/"}]})") == R"(policies[0] has no "name")");
}

TEST_CASE("a long value is quoted in part only") {
    const auto error = error_of(R"({"queues":")" + std::string(5000, 'x') + R"("})");
    CHECK(error.starts_with("\"queues\" must be a list, not \"xxx"));
    CHECK(error.size() < 100);
    std::string umlauts;
    for (int i = 0; i < 50; ++i) umlauts += "\xC3\xA4";
    CHECK(error_of(R"({"queues":")" + umlauts + R"("})") ==
          "\"queues\" must be a list, not \"" + umlauts.substr(0, 38) + "…");
}

TEST_CASE("the export of a single virtual host is refused in words") {
    CHECK(error_of(R"({"queues":[{"name":"q","durable":true,"auto_delete":false,"arguments":{}}]})") ==
          "queues[0] has no \"vhost\": this looks like the export of a single virtual host; export the "
          "definitions of "
          "the whole broker instead");
}

TEST_CASE("names have at most 255 bytes") {
    const auto named = [](std::size_t size) {
        return error_of(R"({"vhosts":[{"name":")" + std::string(size, 'n') + R"("}]})");
    };
    CHECK(named(255) == "accepted");
    CHECK(named(256) == R"(vhosts[0]: "name" is longer than the 255 bytes that a name may have)");
}

TEST_CASE("what is not JSON is refused with the line") {
    CHECK(error_of("{\n\"queues\": [\n  {\"name\": tru}\n]}").starts_with("line 3: this is not JSON: "));
    CHECK(error_of("{\n\"queues\": [\n  {\"name\" \"q\"}\n]}").starts_with("line 3: this is not JSON: "));
    CHECK(error_of("{\n\"queues\": nul\n}").starts_with("line 2: this is not JSON: "));
    CHECK(error_of("{\n\"queues\": \"\xFF\"\n}").starts_with("line 2: this is not JSON: "));
    CHECK(error_of("{\n\"a\": \"\\\"\",\n\"queues: [],\n\"users\": []\n}")
              .starts_with("line 3: this is not JSON: "));
    CHECK(error_of("{\n\"queues\": [],\n\"users\": [\n").starts_with("line "));
    CHECK(error_of("{\n\"queues\": [],\n\n").find("this is not JSON: ") != std::string::npos);
    CHECK(error_of("").find("this is not JSON: ") != std::string::npos);
    CHECK(error_of(std::string(5000, '[')).find("this is not JSON: ") != std::string::npos);
}

TEST_CASE("every JSON value but null becomes a field") {
    CHECK(arguments("{}") == "");
    CHECK(arguments(R"({"a":1,"b":-9223372036854775808,"c":1.5,"d":10.0,"e":"\u00e4","f":true,"g":false})") ==
          TableBuilder{}
              .integer("a", 1)
              .integer("b", INT64_MIN)
              .double_("c", 1.5)
              .double_("d", 10.0)
              .string("e", "\xC3\xA4")
              .boolean("f", true)
              .boolean("g", false)
              .take());
    CHECK(arguments(R"({"h":{"i":{},"j":"k"},"l":[1,"m",[],{"n":true}]})") ==
          TableBuilder{}
              .table("h", TableView{TableBuilder{}.table("i", TableView{}).string("j", "k").take()})
              .array("l", trilby::protocol::ArrayBuilder{}
                              .integer(1)
                              .string("m")
                              .value({'A', ""})
                              .table(TableView{TableBuilder{}.boolean("n", true).take()})
                              .take())
              .take());
}

TEST_CASE("what a field table cannot hold is refused with its name") {
    CHECK(arguments_error(R"({"a":null})") == R"(queues[0]: "arguments": "a" must not be null)");
    CHECK(arguments_error(R"({"a":{"b":[1,null]}})") ==
          R"(queues[0]: "arguments": "a": "b" must not be null)");
    CHECK(arguments_error(R"({"a":9223372036854775808})") ==
          R"(queues[0]: "arguments": "a" must be at most 9223372036854775807)");
    CHECK(arguments_error(R"([])") == R"(queues[0]: "arguments" must be an object, not [])");
    CHECK(arguments_error("{\"" + std::string(256, 'n') + "\":1}") ==
          "queues[0]: \"arguments\": \"nnnnnnnnnnnnnnnnnnnn…\" is longer than the 255 bytes that a name may "
          "have");
    std::string deep = "1";
    for (int i = 0; i < 70; ++i) deep = "{\"a\":" + deep + "}";
    CHECK(arguments_error(deep) == R"(queues[0]: "arguments": must not be nested deeper than 64)");
}

TEST_CASE("an export is read back as what it was made from") {
    const auto read = parse(example);
    const auto text = to_json(read);
    CHECK(parse(text) == read);
    CHECK(to_json(parse(text)) == text);
    CHECK(parse(to_json(Definitions{})) == Definitions{});
}

TEST_CASE("an export has one entry a line, with RabbitMQ's keys") {
    const auto text = to_json(parse(example));
    CHECK(text.find("\n{\"name\":\"bodhi\",\"vhost\":\"/"
                    "pubsub\",\"durable\":true,\"auto_delete\":true,\"type\":\"classic\",\"arguments\":{"
                    "\"x-message-ttl\":864000000}}") != std::string::npos);
    CHECK(text.find(R"({"source":"x","vhost":"/","destination":"amq.topic","destination_type":"exchange",)"
                    R"("routing_key":"","arguments":{}})") != std::string::npos);
    CHECK(text.ends_with("\n"));
}

TEST_CASE("RabbitMQ 3.10 finds the default queue type where it looks for it") {
    CHECK(to_json(parse(example))
              .find(R"("metadata":{"description":"the bus","tags":["a"],"default_queue_type":"quorum"}})") !=
          std::string::npos);
    CHECK(
        to_json(
            parse(
                R"({"queues":[{"name":"q","vhost":"/","durable":true,"arguments":{"x-queue-type":"quorum"}}]})"))
            .find(R"("type":"quorum")") != std::string::npos);
}

TEST_CASE("a user's limits are kept") {
    const auto limits = [](const std::string& json) {
        return parse(R"({"users":[{"name":"u","limits":)" + json + "}]}").users[0].limits;
    };
    CHECK(limits(R"({"max-channels": 5})") == R"({"max-channels":5})");
    CHECK(limits("{}") == "");
    CHECK(limits("[]") == "");
    CHECK(error_of(R"({"users":[{"name":"u","limits":5}]})") ==
          R"(users[0]: "limits" must be an object, not 5)");
    const auto read = parse(R"({"users":[{"name":"u","limits":{"max-channels":5}}]})");
    CHECK(to_json(read).find(R"("limits":{"max-channels":5})") != std::string::npos);
    CHECK(parse(to_json(read)) == read);
}

TEST_CASE("parameters of the same name are told apart by their component") {
    const auto read = parse(R"({"parameters":[{"vhost":"/","component":"shovel","name":"n","value":1},)"
                            R"({"vhost":"/","component":"federation-upstream","name":"n","value":2}]})");
    CHECK(read.parameters[0].component == "shovel");
    CHECK(read.parameters[1].component == "federation-upstream");
    CHECK(error_of(R"({"parameters":[{"vhost":"/","name":"n"}]})") == R"(parameters[0] has no "component")");
}

TEST_CASE("fields without a JSON type are exported as what comes closest") {
    const auto json = [](const std::string& table) {
        std::string out;
        append_json(out, TableView{table});
        return out;
    };
    CHECK(json(TableBuilder{}.integer32("a", -1).double_("b", 2).timestamp("c", 7).void_("d").take()) ==
          R"({"a":-1,"b":2.0,"c":7,"d":null})");
    CHECK(json(TableBuilder{}.double_("a", 1e300).double_("b", 0.1).take()) == R"({"a":1e+300,"b":0.1})");
    CHECK(json(TableBuilder{}.value("a", {'D', std::string_view{"\2\0\0\0\x7B", 5}}).take()) ==
          R"({"a":1.23})");
    CHECK(json(TableBuilder{}.value("a", {'x', "b"}).take()) == R"({"a":"b"})");
    CHECK(json(TableBuilder{}.string("a\"\\", "\n\x7F\xC3\xA4").take()) ==
          "{\"a\\\"\\\\\":\"\\u000a\\u007f\xC3\xA4\"}");
    CHECK(json(TableBuilder{}.string("a", "x\xFFy").take()) == "{\"a\":\"x\xEF\xBF\xBDy\"}");
}

TEST_CASE("the definitions of a real broker are read and survive an export") {
    const auto json = corpus();
    if (json.empty()) {
        MESSAGE("SKIPPED: no shared/corpus/definitions.json beside the source tree or in TRILBY_SHARED");
        return;
    }
    const auto read = parse(json);
    CHECK(read.vhosts.size() == 6);
    CHECK(read.users.size() == 58);
    CHECK(read.topic_permissions.size() == 54);
    CHECK(read.queues.size() == 60);
    CHECK(read.bindings.size() == 89);
    CHECK(read.policies.size() == 10);
    CHECK(read.parameters.size() == 1);
    CHECK(std::ranges::all_of(read.bindings, &BindingDefinition::destination_is_queue));
    CHECK(parse(to_json(read)) == read);
}
