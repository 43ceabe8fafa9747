// SPDX-License-Identifier: Apache-2.0
#include "program/definitions_command.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "broker/catalog/import.hpp"
#include "broker/catalog/store.hpp"
#include "broker/definitions/import.hpp"
#include "broker/definitions/unserved.hpp"
#include "broker/server/data_directory.hpp"
#include "broker/server/pairing.hpp"
#include "broker/server/private_file.hpp"
#include "program/command_line.hpp"

namespace trilby::broker {

void export_definitions(const Configuration& configuration, const std::filesystem::path& file) {
    // One that is made here would be exported without a word that nothing was there.
    if (std::error_code error;
        !std::filesystem::exists(DataDirectory::catalog_in(configuration.data_directory), error))
        throw std::runtime_error(fmt::format("{} holds no definitions: no broker has used it",
                                             configuration.data_directory.string()));
    const DataDirectory directory(configuration.data_directory);
    refuse_lost_catalog(directory);
    Definitions all = CatalogStore(directory.catalog()).load();
    all.rabbit_version = configuration.server_version;
    const std::string json = to_json(all);
    if (file == "-") {
        std::cout << json << std::flush;
        return;
    }
    write_private_file(file, json);  // password hashes are in it
}

void import_definitions(const Configuration& configuration, const std::filesystem::path& file,
                        const std::string& vhost) {
    std::ifstream stream;
    if (file != "-") stream.open(file, std::ios::binary);
    std::istream& in = file == "-" ? std::cin : stream;
    if (!in) throw std::runtime_error(fmt::format("cannot read {}: {}", file.string(), std::strerror(errno)));
    const std::string json(std::istreambuf_iterator<char>(in), {});
    const DataDirectory directory(configuration.data_directory);
    refuse_lost_catalog(directory);
    CatalogStore store(directory.catalog());
    Definitions all = store.load();
    const auto report = import_document(all, json, {.vhost = vhost, .durable_only = true});
    if (!report) throw std::runtime_error(fmt::format("{}: {}", file.string(), report.error()));
    QueueNumbers numbers(store.last_queue_id());
    if (const auto changes = import_all(all, numbers, 1); !changes)
        throw std::runtime_error(fmt::format("{}: {}", file.string(), changes.error()));
    store.add(all);

    const auto remark = [](const std::string& sentence) { client::say("definitions import", sentence); };
    std::ranges::for_each(report->remarks, remark);
    std::ranges::for_each(unserved_definitions(all), remark);
    const std::string from = report->from.empty() ? "" : fmt::format(", of version {},", report->from);
    fmt::print("{}{} is imported into {}\n", file.string(), from, directory.path().string());
    for (const std::string& line : report->in_words()) fmt::print("  {}\n", line);
}

}  // namespace trilby::broker
