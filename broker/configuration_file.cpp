// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <limits>
#include <numeric>
#include <ratio>
#include <sstream>
#include <system_error>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "broker/configuration.hpp"
#include "broker/quantities.hpp"

namespace trilby::broker {
namespace {

/// Reads the value of one key. The first thing that is wrong stays in `problem`, with its line.
class Value {
  public:
    struct Problem {
        std::uint32_t line = 0;
        std::string text;  // empty: none
    };

    Value(std::string_view key, const toml::node& node, const std::filesystem::path& folder, Problem& problem)
        : key_(key), node_(node), folder_(folder), problem_(problem) {}

    template <class Integer>
    void read(Integer& into, std::int64_t least, std::int64_t most) {
        const auto number = node_.value_exact<std::int64_t>();
        if (!number || *number < least || *number > most) {
            return fail(
                fmt::format("must be a whole number from {} to {}, not {}", least, most, shown(node_)));
        }
        into = static_cast<Integer>(*number);
    }

    template <class Integer>
    void read_size(Integer& into, std::uint64_t least, std::uint64_t most) {
        std::uint64_t bytes = 0;
        if (const auto number = node_.value_exact<std::int64_t>(); number && *number >= 0) {
            bytes = static_cast<std::uint64_t>(*number);
        } else if (const auto text = node_.value_exact<std::string_view>()) {
            if (!take(parse_byte_size(*text), bytes)) return;
        } else {
            return fail(
                fmt::format("must be a size such as \"128KiB\", or a number of bytes, not {}", shown(node_)));
        }
        if (bytes < least || bytes > most) {
            return fail(fmt::format("must be from {} to {} bytes, not {}", least, most, shown(node_)));
        }
        into = static_cast<Integer>(bytes);
    }

    template <class Duration>
    void read_duration(Duration& into, Duration least, Duration most) {
        const auto text = node_.value_exact<std::string_view>();
        if (!text) {
            return fail(fmt::format("must be a duration in quotes with its unit, such as \"60s\", not {}",
                                    shown(node_)));
        }
        std::chrono::microseconds duration{};
        if (!take(parse_duration(*text), duration)) return;
        const auto whole = std::chrono::duration_cast<Duration>(duration);
        if (whole != duration) {
            return fail(fmt::format("must be whole {}, not {}",
                                    whole_seconds<Duration> ? "seconds" : "milliseconds", shown(node_)));
        }
        if (whole < least || whole > most) {
            return fail(
                fmt::format("must be from {} to {}, not {}", in_words(least), in_words(most), shown(node_)));
        }
        into = whole;
    }

    void read(MemoryWatermark& into) {
        if (const auto fraction = node_.value_exact<double>()) {
            if (*fraction > 0 && *fraction <= 1) {
                into = {.fraction = *fraction, .bytes = {}};
                return;
            }
        } else if (const auto text = node_.value_exact<std::string_view>()) {
            take(parse_memory_watermark(*text), into);
            return;
        }
        fail(fmt::format(
            "must be a fraction above 0.0 and up to 1.0, such as 0.4, or a size such as \"512MiB\", not {}",
            shown(node_)));
    }

    void read(std::filesystem::path& into) {
        const auto text = node_.value_exact<std::string_view>();
        if (!text || text->empty())
            return fail(fmt::format("must be a path in quotes, not {}", shown(node_)));
        into = folder_ / std::filesystem::path{*text};
    }

    void read(LogLevel& into) {
        const auto text = node_.value_exact<std::string_view>();
        if (!text) return fail(fmt::format("must be a log level such as \"info\", not {}", shown(node_)));
        take(parse_log_level(*text), into);
    }

    void read_version(std::string& into) {
        const auto text = node_.value_exact<std::string_view>();
        int dots = 0;
        const bool plain =
            text && !text->empty() && text->size() <= 32 && std::ranges::all_of(*text, [&](char c) {
                dots += c == '.';
                return c == '.' || (c >= '0' && c <= '9');
            });
        if (!plain || dots != 2 || text->starts_with('.') || text->ends_with('.') || text->contains("..")) {
            return fail(fmt::format(
                "must be three numbers such as \"3.13.7\", for clients compare it, not {}", shown(node_)));
        }
        into = *text;
    }

    void read(std::vector<std::string>& into) {
        into.clear();
        each([&](Value entry, std::string_view text) {
            if (text.empty()) return entry.fail("must not have an empty name");
            into.emplace_back(text);
        });
    }

    void read(std::vector<Listener>& into) {
        into.clear();
        each([&](Value entry, std::string_view text) {
            Listener listener;
            if (!entry.take(parse_listener(text), listener)) return;
            if (listener.port != 0 && std::ranges::find(into, listener) != into.end()) {
                return entry.fail(fmt::format("names {} twice: remove one", to_text(listener)));
            }
            into.push_back(std::move(listener));
        });
        if (into.empty()) fail("must name at least one address, such as \"127.0.0.1:5672\"");
    }

  private:
    static std::string shown(const toml::node& node) {
        if (node.is_table()) return "a table";
        if (node.is_array()) return "a list";
        std::ostringstream text;
        node.visit([&](const auto& value) { text << value; });
        return text.view().size() <= 80 ? text.str() : "what is there";
    }

    template <class Duration>
    static constexpr bool whole_seconds = std::ratio_equal_v<typename Duration::period, std::ratio<1>>;

    static std::string in_words(std::chrono::microseconds duration) {
        if (duration.count() % 1000 != 0) return fmt::format("{}us", duration.count());
        if (duration.count() % 1'000'000 != 0) return fmt::format("{}ms", duration.count() / 1000);
        return fmt::format("{}s", duration.count() / 1'000'000);
    }

    template <class Read>
    void each(Read read) {
        const toml::array* list = node_.as_array();
        if (list == nullptr)
            return fail(fmt::format("must be a list of strings in brackets, not {}", shown(node_)));
        for (const toml::node& entry : *list) {
            Value value{key_, entry, folder_, problem_};
            const auto text = entry.value_exact<std::string_view>();
            if (!text) {
                value.fail(fmt::format("must be a list of strings, and {} is none", shown(entry)));
            } else {
                read(value, *text);
            }
        }
    }

    template <class T>
    bool take(std::expected<T, std::string> parsed, T& into) {
        if (!parsed) {
            fail(": " + parsed.error());
            return false;
        }
        into = *std::move(parsed);
        return true;
    }

    void fail(std::string_view what) {
        if (!problem_.text.empty()) return;
        problem_ = {node_.source().begin.line,
                    fmt::format("{}{}{}", key_, what.starts_with(':') ? "" : " ", what)};
    }

    std::string_view key_;
    const toml::node& node_;
    const std::filesystem::path& folder_;
    Problem& problem_;
};

struct Key {
    std::string_view name;
    void (*read)(Value, Configuration&);
};

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t most_threads = 64;
constexpr std::uint64_t least_frame = 4096;  // clients rely on this much
constexpr std::uint64_t largest_frame = std::uint64_t{128} << 20;
constexpr std::uint64_t largest_message = std::uint64_t{512} << 20;  // RabbitMQ's hard limit

constexpr std::array keys{
    Key{"busy_poll",
        [](Value v, Configuration& c) {
            v.read_duration(c.busy_poll, microseconds{0}, microseconds{10'000});
        }},
    Key{"channel_max", [](Value v, Configuration& c) { v.read(c.channel_max, 1, 65'535); }},
    Key{"consumer_timeout",
        [](Value v, Configuration& c) {
            v.read_duration(c.consumer_timeout, milliseconds{0}, milliseconds{315'360'000'000});
        }},
    Key{"data_directory", [](Value v, Configuration& c) { v.read(c.data_directory); }},
    Key{"definitions", [](Value v, Configuration& c) { v.read(c.definitions.emplace()); }},
    Key{"backlog_memory",
        [](Value v, Configuration& c) { v.read_size(c.backlog_memory, 0, std::uint64_t{1} << 50); }},
    Key{"disk_watermark",
        [](Value v, Configuration& c) { v.read_size(c.disk_watermark, 0, std::uint64_t{1} << 50); }},
    Key{"frame_max", [](Value v, Configuration& c) { v.read_size(c.frame_max, least_frame, largest_frame); }},
    Key{"handshake_timeout",
        [](Value v, Configuration& c) {
            v.read_duration(c.handshake_timeout, milliseconds{100}, milliseconds{3'600'000});
        }},
    Key{"heartbeat",
        [](Value v, Configuration& c) { v.read_duration(c.heartbeat, seconds{0}, seconds{65'535}); }},
    Key{"listeners", [](Value v, Configuration& c) { v.read(c.listeners); }},
    Key{"log_level", [](Value v, Configuration& c) { v.read(c.log_level); }},
    Key{"loopback_users", [](Value v, Configuration& c) { v.read(c.loopback_users); }},
    Key{"max_message_size",
        [](Value v, Configuration& c) { v.read_size(c.max_message_size, 1, largest_message); }},
    Key{"memory_watermark", [](Value v, Configuration& c) { v.read(c.memory_watermark); }},
    Key{"server_version", [](Value v, Configuration& c) { v.read_version(c.server_version); }},
    Key{"threads", [](Value v, Configuration& c) { v.read(c.threads, 0, most_threads); }},
    Key{"connections_together",
        [](Value v, Configuration& c) { v.read(c.connections_together, 1, 1'000'000); }},
};

/// How many letters are to be changed, added or removed.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = std::exchange(row[j + 1], std::min({changed, row[j] + 1, row[j + 1] + 1}));
        }
    }
    return row[b.size()];
}

std::string unknown_key(std::string_view name) {
    constexpr std::size_t longest_guess = 64, near = 3;
    const Key* nearest = &keys.front();
    if (name.size() <= longest_guess) {
        nearest =
            &*std::ranges::min_element(keys, {}, [&](const Key& key) { return distance(name, key.name); });
        if (distance(name, nearest->name) <= near) {
            return fmt::format("there is no key {}; did you mean {}?", name, nearest->name);
        }
    }
    return fmt::format("there is no key {}; docs/configuration.md lists those there are",
                       name.substr(0, longest_guess));
}

std::unexpected<std::string> at(const std::filesystem::path& path, std::uint32_t line,
                                std::string_view text) {
    return std::unexpected(fmt::format("{}:{}: {}", path.string(), line, text));
}

}  // namespace

std::expected<Configuration, std::string> load_configuration(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    if (!file || std::filesystem::is_directory(path)) {
        const int reason = file ? EISDIR : errno;
        return std::unexpected(
            fmt::format("{}: cannot be read: {}", path.string(), std::generic_category().message(reason)));
    }
    std::ostringstream content;
    content << file.rdbuf();
    if (file.bad()) return std::unexpected(fmt::format("{}: reading it failed", path.string()));
    toml::table table;
    try {
        table = toml::parse(content.view());
    } catch (const toml::parse_error& error) {
        return at(path, error.source().begin.line, error.description());
    }

    Configuration configuration;
    const auto folder = path.parent_path();
    Value::Problem first;  // the one nearest to the top of the file, though the table is sorted by name
    for (const auto& [key, node] : table) {
        Value::Problem problem;
        const auto known = std::ranges::find(keys, key.str(), &Key::name);
        if (known == keys.end()) {
            problem = {key.source().begin.line, unknown_key(key.str())};
        } else {
            known->read(Value{known->name, node, folder, problem}, configuration);
        }
        if (!problem.text.empty() && (first.text.empty() || problem.line < first.line))
            first = std::move(problem);
    }
    if (!first.text.empty()) return at(path, first.line, first.text);
    return configuration;
}

}  // namespace trilby::broker
