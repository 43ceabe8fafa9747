// SPDX-License-Identifier: Apache-2.0
#include "broker/definitions/definitions.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "../protocol/random_values.hpp"
#include "auth/password_hash.hpp"
#include "broker/definitions/import.hpp"
#include "broker/definitions/reading.hpp"
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
    CHECK(parse(R"({"queues":[]})") == Definitions{});
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
    CHECK(error_of(R"({"rabbit_version":3,"queues":[]})") ==
          R"(the document: "rabbit_version" must be a string, not 3)");
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
    CHECK(
        arguments_error(R"({"a":{"b":[1,9223372036854775808]}})") ==
        R"(queues[0]: "arguments": "a": "b" must be a whole number from -9223372036854775808 to 9223372036854775807)");
    CHECK(arguments_error(R"({"a":1},"argument_types":{"a":"Q"})") ==
          R"(queues[0]: "arguments": "a" has the type "Q", which no value has)");
    CHECK(arguments_error(R"([1])") == R"(queues[0]: "arguments" must be an object, not [1])");
    CHECK(arguments_error("{\"" + std::string(256, 'n') + "\":1}") ==
          "queues[0]: \"arguments\": \"nnnnnnnnnnnnnnnnnnnn…\" is longer than the 255 bytes that a name may "
          "have");
    std::string deep = "1";
    for (int i = 0; i < 70; ++i) deep = "{\"a\":" + deep + "}";
    CHECK(arguments_error(deep) == R"(queues[0]: "arguments": must not be nested deeper than 64)");
}

TEST_CASE("null is void, and Erlang's empty list is an empty table") {
    CHECK(arguments(R"({"a":null})") == TableBuilder{}.void_("a").take());
    CHECK(arguments("[]").empty());
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

TEST_CASE("what was on the wire is exported in a form that RabbitMQ reads, and read back octet by octet") {
    for (const auto seed : trilby::protocol::test::seeds) {
        trilby::protocol::test::RandomValues random(seed);
        Definitions all;
        for (int i = 0; i < 100; ++i) {
            const std::string name(random.bytes(255));
            const std::string vhost(random.bytes(20));
            const auto table = [&] { return std::string(random.table_bytes()); };
            all.vhosts.push_back({vhost, std::string(random.bytes(40)), {std::string(random.bytes(9))}, ""});
            all.exchanges.push_back(
                {vhost, name, "topic", true, random.one_in(2), random.one_in(2), table()});
            all.queues.push_back(
                {.vhost = vhost, .name = name, .durable = true, .auto_delete = false, .arguments = table()});
            all.bindings.push_back({vhost, name, name, true, std::string(random.bytes(255)), table()});
        }
        CHECK(parse(to_json(all)) == all);
    }
    Definitions one;
    one.queues.push_back({.vhost = "/",
                          .name = "q\xff",
                          .durable = true,
                          .auto_delete = false,
                          .arguments = TableBuilder{}.integer32("x-max-length", 5).take()});
    CHECK(to_json(one).find(R"({"name":"q\udbff\udfff","vhost":"/","durable":true,"auto_delete":false,)"
                            R"("type":"classic","arguments":{"x-max-length":5},)"
                            R"("argument_types":{"x-max-length":"I"}})") != std::string::npos);
}

namespace {

std::vector<std::string> remarks_of(std::string_view json, const std::string& vhost = "") {
    const auto parsed = read_definitions(json, vhost);
    REQUIRE_MESSAGE(parsed, parsed.error());
    return parsed->remarks;
}

using Remarks = std::vector<std::string>;

/// The sentences of an import of `json` into `all`.
Remarks imported(Definitions& all, std::string_view json, const DefinitionsImport& how = {}) {
    const auto report = import_document(all, json, how);
    REQUIRE_MESSAGE(report, report.error());
    auto sentences = report->in_words();
    sentences.insert(sentences.end(), report->remarks.begin(), report->remarks.end());
    return sentences;
}

std::string refused(std::string_view json) {
    Definitions all;
    const auto report = import_document(all, json);
    CHECK(all == Definitions{});
    return report ? "accepted" : report.error();
}

}  // namespace

TEST_CASE("what is not known is passed over and named, and what RabbitMQ says of itself is not") {
    CHECK(remarks_of(R"({"rabbit_version":"4.1.0","rabbitmq_version":"4.1.0","product_name":"RabbitMQ",
        "product_version":"4.1.0","rabbitmq_definition_format":"cluster","original_cluster_name":"rabbit@x",
        "explanation":"Definitions of cluster 'rabbit@x'",
        "vhosts":[{"name":"/","description":"","tags":[],"limits":[["max-queues",10]],"metadata":[]}],
        "queues":[{"name":"q","vhost":"/","durable":true,"auto_delete":false,"type":"classic","arguments":{}}]})") ==
          Remarks{});
    CHECK(remarks_of(R"({"new":1,"queues":[{"name":"q","vhost":"/","durable":true,"colour":1},)"
                     R"({"name":"r","vhost":"/","durable":true,"colour":1}]})") ==
          Remarks{R"(passed over, for it is not known: "colour" in 2 of "queues")",
                  R"(passed over, for it is not known: "new")"});
}

TEST_CASE("a document without anything that is known is refused") {
    for (const char* json : {"{}", R"({"rabbit_version":"3.10.8"})", R"({"queue":[]})"})
        CHECK(error_of(json).starts_with("there is nothing to import: it has none of "));
    CHECK(read_definitions(R"({"users":[]})", "v").error().starts_with("there is nothing to import"));
}

TEST_CASE("a byte order mark is passed over") {
    CHECK(parse("\xEF\xBB\xBF{\"queues\":[]}") == Definitions{});
}

TEST_CASE("RabbitMQ's word for void is pointed out, for RabbitMQ reads it as text") {
    const std::string queue =
        R"({"queues":[{"name":"q","vhost":"/","durable":true,"arguments":{"a":"undefined"})";
    const auto remarks = remarks_of(queue + "}]}");
    REQUIRE(remarks.size() == 1);
    CHECK(remarks[0].starts_with("queues[0]: an argument is the text \"undefined\""));
    CHECK(remarks_of(queue + R"(,"argument_types":{"a":"V"}}]})").empty());
}

TEST_CASE("the export of a single virtual host is read into one that is named") {
    constexpr std::string_view json =
        R"({"rabbit_version":"4.0.1","rabbitmq_definition_format":"single_virtual_host",
        "original_vhost_name":"v","metadata":{"description":"d","tags":[],"default_queue_type":"classic"},
        "parameters":[{"component":"shovel","name":"s","value":{}}],
        "policies":[{"name":"p","pattern":".*","apply-to":"all","definition":{},"priority":0}],
        "queues":[{"name":"q","durable":true,"auto_delete":false,"arguments":{}}],
        "exchanges":[{"name":"x","type":"topic","durable":true,"auto_delete":false,"internal":false,"arguments":{}}],
        "bindings":[{"source":"x","destination":"q","destination_type":"queue","routing_key":"a","arguments":{}}]})";
    CHECK(error_of(json).ends_with("definitions import FILE --vhost NAME"));
    Definitions all;
    CHECK(imported(all, json, {.vhost = "w"}) == Remarks{"vhosts: 1 added", "exchanges: 1 added",
                                                         "queues: 1 added", "bindings: 1 added",
                                                         "policies: 1 added", "parameters: 1 added"});
    CHECK(all.vhosts[0] == VhostDefinition{"w", "d", {}, "classic"});
    CHECK(all.queues[0].vhost == "w");
    CHECK(all.bindings[0].vhost == "w");
    CHECK(all.parameters[0].json == R"({"vhost":"w","component":"shovel","name":"s","value":{}})");
    CHECK(all.policies[0].vhost == "w");
    Definitions again = all;
    again.vhosts[0].description = "mine";
    CHECK(imported(again, R"({"users":[],"queues":[{"vhost":"other","name":"q2","durable":true}]})",
                   {.vhost = "w"}) ==
          Remarks{"queues: 1 added", R"(passed over, for the import is into the virtual host 'w': "users")"});
    CHECK(again.queues[1].vhost == "w");
    CHECK(again.vhosts[0].description == "mine");
}

TEST_CASE("a binding whose ends are not there is left out, as RabbitMQ does") {
    Definitions all =
        parse(R"({"vhosts":[{"name":"/"}],"queues":[{"name":"old","vhost":"/","durable":true}]})");
    const auto binding = [](std::string_view source, std::string_view destination,
                            std::string_view type = "queue", std::string_view vhost = "/") {
        return fmt::format(R"({{"source":"{}","vhost":"{}","destination":"{}","destination_type":"{}",)"
                           R"("routing_key":"#","arguments":{{}}}})",
                           source, vhost, destination, type);
    };
    const auto json = fmt::format(R"({{"bindings":[{},{},{},{},{}]}})", binding("amq.topic", "amq.gen-x"),
                                  binding("inner", "old"), binding("amq.topic", "inner", "exchange"),
                                  binding("amq.topic", "old"), binding("amq.topic", "old", "queue", "gone"));
    CHECK(
        imported(all, json) ==
        Remarks{
            "bindings: 1 added",
            "left out: the binding of 'amq.gen-x' to 'amq.topic' in vhost '/', for there is no queue "
            "'amq.gen-x'",
            "left out: the binding of 'old' to 'inner' in vhost '/', for there is no exchange 'inner'",
            "left out: the binding of 'inner' to 'amq.topic' in vhost '/', for there is no exchange 'inner'",
            "left out: the binding of 'old' to 'amq.topic' in vhost 'gone', for there is no such virtual "
            "host"});
    CHECK(all.bindings.size() == 1);
}

TEST_CASE("an import says what it added, changed and kept") {
    Definitions all = parse(example);
    auto again = to_json(all);
    CHECK(imported(all, again) == Remarks{"vhosts: 2 equal", "users: 2 equal", "permissions: 1 equal",
                                          "topic_permissions: 1 equal", "exchanges: 1 equal",
                                          "queues: 1 equal", "bindings: 2 equal", "policies: 1 equal",
                                          "parameters: 1 equal", "global_parameters: 1 equal"});
    CHECK(imported(all, R"({"users":[{"name":"bodhi","tags":"a"},{"name":"new","tags":[]}],
        "queues":[{"name":"bodhi","vhost":"/pubsub","durable":true,"auto_delete":true,"arguments":{}},
                  {"name":"t","vhost":"/","durable":false}]})",
                   {.durable_only = true}) ==
          Remarks{"users: 1 added, 1 changed",
                  "queues: 1 kept as they were, though the document says otherwise (queue 'bodhi' in vhost "
                  "'/pubsub')",
                  "left out, for it is not durable: queue 't' in vhost '/'"});
    CHECK(all.queues.size() == 1);
}

TEST_CASE("a queue that a client could not declare is refused in the same words") {
    const auto queue = [](std::string_view rest) {
        return fmt::format(R"({{"queues":[{{"name":"q","vhost":"/",{}}}]}})", rest);
    };
    CHECK(refused(queue(R"("durable":true,"arguments":{"x-queue-type":"stream"})")) ==
          R"(invalid arg 'x-queue-type' for queue 'q' in vhost '/': "unsupported queue type 'stream'")");
    CHECK(refused(queue(R"("durable":true,"arguments":{"x-max-length":-1})")) ==
          "invalid arg 'x-max-length' for queue 'q' in vhost '/': {value_negative,-1}");
    CHECK(refused(queue(R"("durable":false,"arguments":{"x-queue-type":"quorum"})")) != "accepted");
    Definitions older;  // had taken it
    older.queues.push_back({.vhost = "/",
                            .name = "q",
                            .durable = true,
                            .auto_delete = false,
                            .arguments = TableBuilder{}.string("x-queue-type", "stream").take()});
    CHECK(imported(older, queue(R"("durable":true,"arguments":{"x-queue-type":"stream"})")) ==
          Remarks{"queues: 1 equal"});
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
