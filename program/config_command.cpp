// SPDX-License-Identifier: Apache-2.0
#include "program/config_command.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <utility>

#include <fmt/format.h>

#include "broker/definitions/import.hpp"
#include "broker/server/configuration.hpp"
#include "program/command_line.hpp"

namespace trilby::broker {
namespace {

ConfigurationFile read(const std::filesystem::path& file) {
    if (file.empty()) return {};
    auto configuration = read_configuration(file);
    if (!configuration) throw std::runtime_error(configuration.error());
    return *std::move(configuration);
}

void check_definitions(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error(fmt::format("cannot read {}: {}", file.string(), std::strerror(errno)));
    const std::string json(std::istreambuf_iterator<char>(in), {});
    Definitions none;
    const auto report = import_document(none, json);
    if (!report) throw std::runtime_error(fmt::format("{}: {}", file.string(), report.error()));
    for (const std::string& remark : report->remarks)
        client::say("config check", fmt::format("{}: {}", file.string(), remark));
}

}  // namespace

void check_configuration(const std::filesystem::path& file) {
    const Configuration configuration = read(file).configuration;
    if (configuration.definitions) check_definitions(*configuration.definitions);
    fmt::print("{}\n", file.empty() ? "no file is named: every key has its default"
                                    : fmt::format("{} can be used", file.string()));
}

void show_configuration(const std::filesystem::path& file) {
    const ConfigurationFile configuration = read(file);
    fmt::print("{}", to_toml(configuration.configuration, [&](std::string_view key) {
                   const auto line = configuration.lines.find(key);
                   return line == configuration.lines.end()
                              ? std::string{"default"}
                              : fmt::format("{}:{}", file.filename().string(), line->second);
               }));
}

}  // namespace trilby::broker
