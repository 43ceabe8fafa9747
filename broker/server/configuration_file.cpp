// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <fstream>
#include <limits>
#include <numeric>
#include <ratio>
#include <sstream>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include "broker/server/configuration.hpp"
#include "broker/server/quantities.hpp"

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
            return fail(fmt::format("must be from {} to {}, not {}", duration_text(least),
                                    duration_text(most), shown(node_)));
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

    void read(log::Level& into) {
        const auto text = node_.value_exact<std::string_view>();
        if (!text) return fail(fmt::format("must be a log level such as \"info\", not {}", shown(node_)));
        take(parse_log_level(*text), into);
    }

    void read(log::Format& into) {
        const auto text = node_.value_exact<std::string_view>();
        if (!text) return fail(fmt::format("must be a log format such as \"text\", not {}", shown(node_)));
        take(parse_log_format(*text), into);
    }

    void read(bool& into) {
        const auto value = node_.value_exact<bool>();
        if (!value) return fail(fmt::format("must be true or false, not {}", shown(node_)));
        into = *value;
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

/// In quotes, on one line.
std::string toml_text(const std::string& text) {
    using Formatter = toml::toml_formatter;
    const toml::value value{text};
    std::ostringstream out;
    out << Formatter{value, Formatter::default_flags & ~(toml::format_flags::allow_literal_strings |
                                                         toml::format_flags::allow_multi_line_strings)};
    return std::move(out).str();
}

template <class Texts>
std::string list_of(const Texts& texts) {
    std::vector<std::string> all;
    for (const auto& text : texts) all.push_back(toml_text(text));
    return fmt::format("[{}]", fmt::join(all, ", "));
}

// How a value is written so that it is read as what it is.

std::string shown(std::integral auto number) {
    return fmt::format("{}", number);
}
std::string shown(std::chrono::microseconds duration) {
    return toml_text(duration_text(duration));
}
std::string shown(const std::string& text) {
    return toml_text(text);
}
std::string shown(const std::filesystem::path& path) {
    return toml_text(std::filesystem::absolute(path).string());
}
std::string shown(const std::vector<std::string>& texts) {
    return list_of(texts);
}
std::string shown(const std::vector<Listener>& listeners) {
    std::vector<std::string> addresses;
    for (const Listener& listener : listeners) addresses.push_back(to_text(listener));
    return list_of(addresses);
}
std::string shown(const MemoryWatermark& watermark) {
    if (watermark.bytes) return toml_text(byte_size_text(*watermark.bytes));
    const auto text = fmt::format("{}", watermark.fraction);
    return text.find_first_of(".e") == text.npos ? text + ".0" : text;
}
std::string shown(log::Level level) {
    return toml_text(std::string{to_text(level)});
}
std::string shown(log::Format format) {
    return toml_text(std::string{to_text(format)});
}
template <class T>
std::string shown(const std::optional<T>& value) {
    return value ? shown(*value) : "";
}

struct Key {
    std::string_view name;
    void (*read)(Value, Configuration&);
    std::string (*show)(const Configuration&) = nullptr;  // empty: it has no value
};

template <auto member>
std::string show(const Configuration& configuration) {
    return shown(configuration.*member);
}
/// A size in octets.
template <auto member>
std::string show_size(const Configuration& configuration) {
    return toml_text(byte_size_text(configuration.*member));
}

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint64_t least_frame = 4096;  // clients rely on this much
constexpr std::uint64_t largest_frame = std::uint64_t{128} << 20;
constexpr std::uint64_t largest_message = std::uint64_t{512} << 20;  // RabbitMQ's hard limit

using C = Configuration;

constexpr std::array keys{
    Key{"busy_poll",
        [](Value v, C& c) { v.read_duration(c.busy_poll, microseconds{0}, microseconds{10'000}); },
        show<&C::busy_poll>},
    Key{"channel_max", [](Value v, C& c) { v.read(c.channel_max, 1, 65'535); }, show<&C::channel_max>},
    Key{"consumer_timeout",
        [](Value v, C& c) {
            v.read_duration(c.consumer_timeout, milliseconds{0}, milliseconds{315'360'000'000});
        },
        show<&C::consumer_timeout>},
    Key{"data_directory", [](Value v, C& c) { v.read(c.data_directory); }, show<&C::data_directory>},
    Key{"definitions", [](Value v, C& c) { v.read(c.definitions.emplace()); }, show<&C::definitions>},
    Key{"backlog_memory", [](Value v, C& c) { v.read_size(c.backlog_memory, 0, std::uint64_t{1} << 50); },
        show_size<&C::backlog_memory>},
    Key{"disk_watermark", [](Value v, C& c) { v.read_size(c.disk_watermark, 0, std::uint64_t{1} << 50); },
        show_size<&C::disk_watermark>},
    Key{"frame_max", [](Value v, C& c) { v.read_size(c.frame_max, least_frame, largest_frame); },
        show_size<&C::frame_max>},
    Key{"handshake_timeout",
        [](Value v, C& c) {
            v.read_duration(c.handshake_timeout, milliseconds{100}, milliseconds{3'600'000});
        },
        show<&C::handshake_timeout>},
    Key{"heartbeat", [](Value v, C& c) { v.read_duration(c.heartbeat, seconds{0}, seconds{65'535}); },
        show<&C::heartbeat>},
    Key{"listeners", [](Value v, C& c) { v.read(c.listeners); }, show<&C::listeners>},
    Key{"log_connections", [](Value v, C& c) { v.read(c.log_connections); }, show<&C::log_connections>},
    Key{"log_format", [](Value v, C& c) { v.read(c.log_format); }, show<&C::log_format>},
    Key{"log_level", [](Value v, C& c) { v.read(c.log_level); }, show<&C::log_level>},
    Key{"loopback_users", [](Value v, C& c) { v.read(c.loopback_users); }, show<&C::loopback_users>},
    Key{"max_message_size", [](Value v, C& c) { v.read_size(c.max_message_size, 1, largest_message); },
        show_size<&C::max_message_size>},
    Key{"memory_watermark", [](Value v, C& c) { v.read(c.memory_watermark); }, show<&C::memory_watermark>},
    Key{"server_version", [](Value v, C& c) { v.read_version(c.server_version); }, show<&C::server_version>},
    Key{"shutdown_timeout",
        [](Value v, C& c) { v.read_duration(c.shutdown_timeout, seconds{2}, seconds{3600}); },
        show<&C::shutdown_timeout>},
    Key{"tcp_keepalive", [](Value v, C& c) { v.read_duration(c.tcp_keepalive, seconds{0}, seconds{32'767}); },
        show<&C::tcp_keepalive>},
    Key{"tcp_user_timeout",
        [](Value v, C& c) { v.read_duration(c.tcp_user_timeout, seconds{0}, seconds{86'400}); },
        show<&C::tcp_user_timeout>},
    Key{"threads", [](Value v, C& c) { v.read(c.threads, 0, most_threads); }, show<&C::threads>},
    Key{"connections_together", [](Value v, C& c) { v.read(c.connections_together, 1, 1'000'000); },
        show<&C::connections_together>},
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

std::expected<ConfigurationFile, std::string> read_configuration(const std::filesystem::path& path) {
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

    ConfigurationFile read;
    read.configuration.file = path;
    const auto folder = path.parent_path();
    Value::Problem first;  // the one nearest to the top of the file, though the table is sorted by name
    for (const auto& [key, node] : table) {
        Value::Problem problem;
        const auto known = std::ranges::find(keys, key.str(), &Key::name);
        if (known == keys.end()) {
            problem = {key.source().begin.line, unknown_key(key.str())};
        } else {
            known->read(Value{known->name, node, folder, problem}, read.configuration);
            read.lines.emplace(known->name, key.source().begin.line);
        }
        if (!problem.text.empty() && (first.text.empty() || problem.line < first.line))
            first = std::move(problem);
    }
    if (!first.text.empty()) return at(path, first.line, first.text);
    return read;
}

std::expected<Configuration, std::string> load_configuration(const std::filesystem::path& path) {
    auto read = read_configuration(path);
    if (!read) return std::unexpected(std::move(read.error()));
    return std::move(read->configuration);
}

std::vector<std::string_view> configuration_keys() {
    std::vector<std::string_view> names;
    for (const Key& key : keys) names.push_back(key.name);
    return names;
}

std::string to_toml(const Configuration& configuration,
                    const std::function<std::string(std::string_view)>& origin) {
    std::string text;
    for (const Key& key : keys) {
        const std::string value = key.show != nullptr ? key.show(configuration) : "";
        text += value.empty() ? fmt::format("# {} is not set\n", key.name)
                              : fmt::format("{} = {}  # {}\n", key.name, value, origin(key.name));
    }
    return text;
}

}  // namespace trilby::broker
