// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <ratio>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "broker/server/configuration.hpp"
#include "broker/server/quantities.hpp"

namespace trilby::broker {

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

}  // namespace trilby::broker
