// SPDX-License-Identifier: Apache-2.0
#include "broker/server/configuration.hpp"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "broker/server/reload.hpp"
#include "tests/unit/broker/temporary_folder.hpp"

using namespace trilby::broker;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

Configuration load(std::string_view toml) {
    const TemporaryFolder folder;
    const auto result = load_configuration(folder.write("trilby.toml", toml));
    REQUIRE_MESSAGE(result, result.error());
    return *result;
}

/// The error after "FILE:", or "accepted".
std::string error_of(std::string_view toml) {
    const TemporaryFolder folder;
    const auto file = folder.write("trilby.toml", toml);
    const auto result = load_configuration(file);
    if (result) return "accepted";
    REQUIRE(result.error().starts_with(file.string() + ":"));
    return result.error().substr(file.string().size() + 1);
}

/// A line for each, with another value than its default.
constexpr std::string_view every_key = R"(listeners = ["0.0.0.0:5673", "[::]:0", "bus.example.org:5672"]
data_directory = "/data"
definitions = "/etc/definitions.json"
threads = 4
busy_poll = "50us"
memory_watermark = "512MiB"
backlog_memory = "64MiB"
disk_watermark = "1GB"
connections_together = 2
heartbeat = "2min"
frame_max = "1MiB"
channel_max = 65535
max_message_size = 1000
handshake_timeout = "500ms"
consumer_timeout = "0s"
loopback_users = []
server_version = "4.0.1"
shutdown_timeout = "5s"
tcp_keepalive = "30s"
tcp_user_timeout = "1min"
log_level = "warning"
log_format = "json"
log_connections = false
)";

}  // namespace

TEST_CASE("an empty file leaves every default") {
    const auto read = load("# nothing\n");
    CHECK(read.listeners == std::vector<Listener>{{"127.0.0.1", 5672}, {"::1", 5672}});
    CHECK(read.data_directory == default_data_directory());
    CHECK_FALSE(read.definitions);
    CHECK(read.threads == 0);
    CHECK(read.busy_poll == microseconds{0});
    CHECK(read.memory_watermark == MemoryWatermark{.fraction = 0.4, .bytes = {}});
    CHECK(read.backlog_memory == 12ull << 20);
    CHECK(read.heartbeat == seconds{60});
    CHECK(read.frame_max == 131072);
    CHECK(read.channel_max == 2047);
    CHECK(read.server_version == "3.13.7");
    CHECK(read.max_message_size == 134217728);
    CHECK(read.handshake_timeout == seconds{10});
    CHECK(read.consumer_timeout == milliseconds{1800000});
    CHECK(read.shutdown_timeout == seconds{10});
    CHECK(read.tcp_keepalive == seconds{60});
    CHECK(read.tcp_user_timeout == seconds{180});
    CHECK(read.loopback_users == std::vector<std::string>{"guest"});
    CHECK(read.log_level == log::Level::info);
    CHECK(read.log_format == log::Format::text);
    CHECK(read.log_connections);
}

TEST_CASE("every key is read") {
    const auto read = load(every_key);
    CHECK(read.listeners == std::vector<Listener>{{"0.0.0.0", 5673}, {"::", 0}, {"bus.example.org", 5672}});
    CHECK(read.data_directory == "/data");
    CHECK(read.definitions == "/etc/definitions.json");
    CHECK(read.threads == 4);
    CHECK(read.busy_poll == microseconds{50});
    CHECK(read.memory_watermark.of(1) == 512ull << 20);
    CHECK(read.backlog_memory == 64ull << 20);
    CHECK(read.disk_watermark == 1'000'000'000);
    CHECK(read.connections_together == 2);
    CHECK(read.heartbeat == seconds{120});
    CHECK(read.frame_max == 1u << 20);
    CHECK(read.channel_max == 65535);
    CHECK(read.max_message_size == 1000);
    CHECK(read.handshake_timeout == milliseconds{500});
    CHECK(read.consumer_timeout == milliseconds{0});
    CHECK(read.loopback_users.empty());
    CHECK(read.server_version == "4.0.1");
    CHECK(read.shutdown_timeout == seconds{5});
    CHECK(read.tcp_keepalive == seconds{30});
    CHECK(read.tcp_user_timeout == seconds{60});
    CHECK(read.log_level == log::Level::warning);
    CHECK(read.log_format == log::Format::json);
    CHECK(!read.log_connections);
}

TEST_CASE("a reload takes what a running broker can change, and names what needs a restart") {
    Configuration running;
    Configuration fresh = running;
    fresh.log_level = log::Level::debug;
    fresh.loopback_users = {"guest", "admin"};
    fresh.heartbeat = seconds{10};
    const ChangedKeys changed = take_over(running, fresh);
    CHECK(changed.taken == std::vector<std::string_view>{"log_level", "loopback_users"});
    CHECK(changed.need_restart == std::vector<std::string_view>{"heartbeat"});
    CHECK(running.loopback_users == fresh.loopback_users);
    CHECK(running.heartbeat == seconds{60});
    CHECK(take_over(running, fresh).taken.empty());
}

TEST_CASE("a reload knows every key") {
    Configuration running;
    const ChangedKeys changed = take_over(running, load(every_key));
    CHECK(changed.taken.size() + changed.need_restart.size() ==
          static_cast<std::size_t>(std::ranges::count(every_key, '\n')));
}

TEST_CASE("relative paths start at the file's folder") {
    const TemporaryFolder folder;
    const auto read = load_configuration(
        folder.write("etc/trilby.toml", "data_directory = 'd'\ndefinitions = '../x.json'\n"));
    REQUIRE(read);
    CHECK(read->data_directory == folder.path() / "etc/d");
    CHECK(read->definitions == folder.path() / "etc/../x.json");
}

TEST_CASE("a key that does not exist is refused with its line and the nearest one that does") {
    CHECK(error_of("threads = 1\n\nlistener = []\n") ==
          "3: there is no key listener; did you mean listeners?");
    CHECK(error_of("heart-beat = '1s'\n") == "1: there is no key heart-beat; did you mean heartbeat?");
    CHECK(error_of("\n[management]\nport = 1\n") ==
          "2: there is no key management; docs/configuration.md lists those there are");
    CHECK(error_of(std::string(5000, 'x') + " = 1").starts_with("1: there is no key xxxx"));
}

TEST_CASE("a value of the wrong type is refused with what to write") {
    CHECK(error_of("\nthreads = 'two'") == "2: threads must be a whole number from 0 to 64, not 'two'");
    CHECK(error_of("threads = 2.0") == "1: threads must be a whole number from 0 to 64, not 2.0");
    CHECK(error_of("channel_max = [1]") ==
          "1: channel_max must be a whole number from 1 to 65535, not a list");
    CHECK(error_of("heartbeat = 60") ==
          "1: heartbeat must be a duration in quotes with its unit, such as \"60s\", not 60");
    CHECK(error_of("frame_max = true") ==
          "1: frame_max must be a size such as \"128KiB\", or a number of bytes, not true");
    CHECK(error_of("frame_max = -1") ==
          "1: frame_max must be a size such as \"128KiB\", or a number of bytes, not -1");
    CHECK(error_of("data_directory = 1") == "1: data_directory must be a path in quotes, not 1");
    CHECK(error_of("data_directory = ''") == "1: data_directory must be a path in quotes, not ''");
    CHECK(error_of("definitions = {a = 1}") == "1: definitions must be a path in quotes, not a table");
    CHECK(error_of("loopback_users = 'guest'") ==
          "1: loopback_users must be a list of strings in brackets, not 'guest'");
    CHECK(error_of("loopback_users = [\n'guest',\n1]") ==
          "3: loopback_users must be a list of strings, and 1 is none");
    CHECK(error_of("loopback_users = ['']") == "1: loopback_users must not have an empty name");
    CHECK(error_of("log_level = 3") == "1: log_level must be a log level such as \"info\", not 3");
    CHECK(error_of("memory_watermark = 1") ==
          "1: memory_watermark must be a fraction above 0.0 and up to 1.0, such as 0.4, or a size such as "
          "\"512MiB\", "
          "not 1");
}

TEST_CASE("a value out of range is refused with the range") {
    CHECK(error_of("threads = -1") == "1: threads must be a whole number from 0 to 64, not -1");
    CHECK(error_of("threads = 65") == "1: threads must be a whole number from 0 to 64, not 65");
    CHECK(error_of("channel_max = 0") == "1: channel_max must be a whole number from 1 to 65535, not 0");
    CHECK(error_of("channel_max = 65536") ==
          "1: channel_max must be a whole number from 1 to 65535, not 65536");
    CHECK(error_of("frame_max = 4095") == "1: frame_max must be from 4096 to 134217728 bytes, not 4095");
    CHECK(error_of("frame_max = '1GiB'") == "1: frame_max must be from 4096 to 134217728 bytes, not '1GiB'");
    CHECK(error_of("max_message_size = 0") == "1: max_message_size must be from 1 to 536870912 bytes, not 0");
    CHECK(error_of("heartbeat = '1500ms'") == "1: heartbeat must be whole seconds, not '1500ms'");
    CHECK(error_of("consumer_timeout = '5us'") ==
          "1: consumer_timeout must be whole milliseconds, not '5us'");
    CHECK(error_of("busy_poll = '11ms'") == "1: busy_poll must be from 0s to 10ms, not '11ms'");
    CHECK(error_of("heartbeat = '65536s'") == "1: heartbeat must be from 0s to 65535s, not '65536s'");
    CHECK(error_of("handshake_timeout = '0'") == "1: handshake_timeout must be from 100ms to 3600s, not '0'");
    CHECK(error_of("memory_watermark = 0.0").find("above 0.0") != std::string::npos);
    CHECK(error_of("memory_watermark = 1.5").find("up to 1.0") != std::string::npos);
    CHECK(error_of("memory_watermark = nan").find("up to 1.0") != std::string::npos);
}

TEST_CASE("a value that cannot be understood is refused with its key") {
    CHECK(error_of("heartbeat = '60'") ==
          "1: heartbeat: \"60\" is not a duration: write a whole number with us, ms, s, min, h or d, such as "
          "\"30min\"");
    CHECK(error_of("max_message_size = '1M'").starts_with("1: max_message_size: \"1M\" is not a size: "));
    CHECK(error_of("memory_watermark = '40%'")
              .starts_with("1: memory_watermark: \"40%\" is no memory watermark: "));
    CHECK(error_of("log_level = 'loud'") ==
          "1: log_level: \"loud\" is no log level: write debug, info, warning, error or critical");
    CHECK(error_of("log_level = 'trace'").starts_with("1: log_level: \"trace\" is no log level"));
    CHECK(error_of("log_format = 'xml'") == "1: log_format: \"xml\" is no log format: write text or json");
    CHECK(error_of("log_connections = 'no'") == "1: log_connections must be true or false, not 'no'");
    CHECK(error_of("log_format = 1") == "1: log_format must be a log format such as \"text\", not 1");
    for (const char* version :
         {"'3.13'", "'3.13.7.1'", "'three'", "''", "3.13", "'.1.2'", "'1..2'", "'1.2.'"}) {
        CAPTURE(version);
        CHECK(error_of(std::string{"server_version = "} + version).find("must be three numbers") !=
              std::string::npos);
    }
}

TEST_CASE("listeners are at least one, and each once") {
    CHECK(error_of("listeners = []") ==
          "1: listeners must name at least one address, such as \"127.0.0.1:5672\"");
    CHECK(error_of("listeners = ['a:1',\n'a:1']") == "2: listeners names a:1 twice: remove one");
    CHECK(error_of("listeners = ['a:0', 'a:0']") == "accepted");
    CHECK(error_of("listeners = ['[::1]:1',\n\n'5672']").starts_with("3: listeners: \"5672\" is no address"));
}

TEST_CASE("of several errors the topmost is reported") {
    CHECK(error_of("threads = -1\nchannel_max = 0\n").starts_with("1: threads"));
    CHECK(
        error_of("zzz_unknown_zzz = 1\nchannel_max = 0\n").starts_with("1: there is no key zzz_unknown_zzz"));
}

TEST_CASE("a file that is not TOML is refused with the line") {
    CHECK(error_of("threads = 1\nheartbeat: 5\n").starts_with("2: "));
    CHECK(error_of("threads = 1\nthreads = 2\n").starts_with("2: "));
    CHECK(error_of("threads = 1\n[\n").starts_with("2: "));
}

TEST_CASE("a file that cannot be read is refused with the reason") {
    const TemporaryFolder folder;
    const auto missing = folder.path() / "missing.toml";
    CHECK(load_configuration(missing).error() ==
          missing.string() + ": cannot be read: No such file or directory");
    CHECK(load_configuration(folder.path()).error() ==
          folder.path().string() + ": cannot be read: Is a directory");
}

TEST_CASE("a listener is a host and a port, IPv6 in brackets") {
    CHECK(parse_listener("127.0.0.1:5672") == Listener{"127.0.0.1", 5672});
    CHECK(parse_listener("[::1]:5672") == Listener{"::1", 5672});
    CHECK(parse_listener("[fe80::1%eth0]:1") == Listener{"fe80::1%eth0", 1});
    CHECK(parse_listener("localhost:0") == Listener{"localhost", 0});
    CHECK(parse_listener("h:65535") == Listener{"h", 65535});
}

TEST_CASE("what is no listener is refused with the right form") {
    const auto advice = [](std::string_view text) {
        const auto listener = parse_listener(text);
        return listener ? "accepted" : listener.error();
    };
    CHECK(advice("5672") ==
          "\"5672\" is no address to listen on: write HOST:PORT, such as \"127.0.0.1:5672\" or "
          "\"[::1]:5672\"");
    CHECK(advice("::1:5672") ==
          "\"::1:5672\" is no address to listen on: an IPv6 address stands in brackets, such as "
          "\"[::1]:5672\"");
    CHECK(advice("[::1:5672").find("write HOST:PORT") != std::string::npos);
    CHECK(advice("[::1]").find("is no address to listen on") != std::string::npos);
    CHECK(advice("[localhost]:1").find("not an IPv6 address") != std::string::npos);
    CHECK(advice("[]:1").find("not an IPv6 address") != std::string::npos);
    CHECK(advice(":5672").find("\"0.0.0.0:PORT\" and \"[::]:PORT\"") != std::string::npos);
    CHECK(advice("*:5672").find("\"0.0.0.0:PORT\" and \"[::]:PORT\"") != std::string::npos);
    CHECK(advice("a b:1").find("write HOST:PORT") != std::string::npos);
    CHECK(advice(std::string_view{"[::1\0]:1", 8}).find("not an IPv6 address") != std::string::npos);
    for (const char* text : {"h:", "h:65536", "h:-1", "h:5672x", "h: 1", "h:+1"}) {
        CAPTURE(text);
        CHECK(advice(text).find("the port is a number from 0 to 65535") != std::string::npos);
    }
}

TEST_CASE("a listener is written as it is read") {
    for (const char* text : {"127.0.0.1:5672", "[::1]:5672", "localhost:0"}) {
        CHECK(to_text(parse_listener(text).value()) == text);
    }
}

TEST_CASE("a memory watermark is a fraction of the limit or a number of bytes") {
    CHECK(parse_memory_watermark("0.25").value().of(1000) == 250);
    CHECK(parse_memory_watermark("1.0").value().of(1000) == 1000);
    CHECK(parse_memory_watermark("1KiB").value().of(1000) == 1024);
    CHECK(parse_memory_watermark("1500001B").value().of(1000) == 1'500'001);
    CHECK(MemoryWatermark{}.of(1ull << 40) == static_cast<std::uint64_t>(0.4 * (1ull << 40)));
    for (const char* text : {"", "0", "1", "536870912", "0.0", "1.1", "-0.5", "0.4x", "nan", "40%"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_memory_watermark(text));
    }
}

TEST_CASE(
    "the data directory follows the XDG base directory specification, and is /var/lib/trilby for root") {
    CHECK(default_data_directory(false, "", "/home/a") == "/home/a/.local/state/trilby");
    CHECK(default_data_directory(false, "/state", "/home/a") == "/state/trilby");
    CHECK(default_data_directory(false, "relative", "/home/a") == "/home/a/.local/state/trilby");
    CHECK(default_data_directory(true, "/state", "/root") == "/var/lib/trilby");
    CHECK(default_data_directory(false, "", "") == "/var/lib/trilby");
}

TEST_CASE("a machine with more cores than there can be threads gets as many as there can be") {
    CHECK(default_threads(0) == 1);
    CHECK(default_threads(4) == 4);
    CHECK(default_threads(64) == 64);
    CHECK(default_threads(96) == 64);
    CHECK(load("threads = 64").threads == 64);
    CHECK(error_of("threads = 96") == "1: threads must be a whole number from 0 to 64, not 96");
}

TEST_CASE("a configuration is written as TOML that is read as the same, key by key") {
    const auto default_of = [](std::string_view) { return std::string{"default"}; };
    const auto changed = load(R"(
listeners = ["0.0.0.0:5673", "[::]:0"]
data_directory = "/da\\ta \"x\""
definitions = "/etc/definitions.json"
threads = 3
busy_poll = "50us"
backlog_memory = 4097
disk_watermark = "50MB"
memory_watermark = "1500001B"
heartbeat = "90s"
handshake_timeout = "1500ms"
consumer_timeout = "0"
loopback_users = []
log_level = "debug"
)");
    for (const Configuration& configuration : {Configuration{}, changed}) {
        const auto text = to_toml(configuration, default_of);
        const auto again = load(text);
        CHECK(to_toml(again, default_of) == text);
        CHECK(again.listeners == configuration.listeners);
        CHECK(again.data_directory == configuration.data_directory);
        CHECK(again.definitions == configuration.definitions);
        CHECK(again.backlog_memory == configuration.backlog_memory);
        CHECK(again.memory_watermark == configuration.memory_watermark);
        CHECK(again.consumer_timeout == configuration.consumer_timeout);
        CHECK(again.loopback_users == configuration.loopback_users);
    }
    const auto text = to_toml(changed, [](std::string_view key) { return std::string{key} + "!"; });
    CHECK(text.find("handshake_timeout = \"1500ms\"  # handshake_timeout!\n") != std::string::npos);
    CHECK(text.find("memory_watermark = \"1500001B\"") != std::string::npos);
    // Whoever adds a key says how it is shown.
    for (const auto key : configuration_keys())
        CHECK_MESSAGE(text.find(std::string{key} + " = ") != std::string::npos, key);
}

TEST_CASE("of a file it is known in which line a key stands") {
    const TemporaryFolder folder;
    const auto read = read_configuration(folder.write("trilby.toml", "\nthreads = 2\nheartbeat = \"9s\"\n"));
    REQUIRE(read);
    CHECK(read->configuration.threads == 2);
    CHECK(read->lines == std::map<std::string, std::uint32_t, std::less<>>{{"threads", 2}, {"heartbeat", 3}});
}
