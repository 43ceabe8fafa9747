// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <numeric>
#include <sstream>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <toml++/toml.h>

#include "broker/server/configuration.hpp"
#include "broker/server/configuration_keys.hpp"

namespace trilby::broker {
namespace {

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
    const auto keys = all_configuration_keys();
    const ConfigurationKey* nearest = &keys.front();
    if (name.size() <= longest_guess) {
        nearest = &*std::ranges::min_element(
            keys, {}, [&](const ConfigurationKey& key) { return distance(name, key.name); });
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
        const auto known = std::ranges::find(all_configuration_keys(), key.str(), &ConfigurationKey::name);
        if (known == all_configuration_keys().end()) {
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
    for (const ConfigurationKey& key : all_configuration_keys()) names.push_back(key.name);
    return names;
}

std::string to_toml(const Configuration& configuration,
                    const std::function<std::string(std::string_view)>& origin) {
    std::string text;
    for (const ConfigurationKey& key : all_configuration_keys()) {
        const std::string value = key.show(configuration);
        text += value.empty() ? fmt::format("# {} is not set\n", key.name)
                              : fmt::format("{} = {}  # {}\n", key.name, value, origin(key.name));
    }
    return text;
}

}  // namespace trilby::broker
