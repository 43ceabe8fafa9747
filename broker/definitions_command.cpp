// SPDX-License-Identifier: Apache-2.0
#include "broker/definitions_command.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>

#include <fmt/format.h>

#include "broker/catalog_store.hpp"
#include "broker/data_directory.hpp"
#include "broker/shard.hpp"

namespace trilby::broker {

void export_definitions(const Configuration& configuration, const std::filesystem::path& file) {
    // One that is made here would be exported without a word that nothing was there.
    if (std::error_code error;
        !std::filesystem::exists(DataDirectory::catalog_in(configuration.data_directory), error))
        throw std::runtime_error(fmt::format("{} holds no definitions: no broker has used it",
                                             configuration.data_directory.string()));
    const DataDirectory directory(configuration.data_directory);
    Definitions all = CatalogStore(directory.catalog()).load();
    all.rabbit_version = configuration.server_version;
    const std::string json = to_json(all);
    if (file == "-") {
        std::cout << json << std::flush;
        return;
    }
    std::ofstream out(file, std::ios::binary);
    out << json << std::flush;
    if (!out)
        throw std::runtime_error(fmt::format("cannot write {}: {}", file.string(), std::strerror(errno)));
}

void import_definitions(const Configuration& configuration, const std::filesystem::path& file) {
    std::ifstream stream;
    if (file != "-") stream.open(file, std::ios::binary);
    std::istream& in = file == "-" ? std::cin : stream;
    if (!in) throw std::runtime_error(fmt::format("cannot read {}: {}", file.string(), std::strerror(errno)));
    const std::string json(std::istreambuf_iterator<char>(in), {});
    const auto added = parse_definitions(json);
    if (!added) throw std::runtime_error(fmt::format("{}: {}", file.string(), added.error()));

    const DataDirectory directory(configuration.data_directory);
    CatalogStore store(directory.catalog());
    Definitions all = store.load();
    merge(all, *added);
    const Settings settings;
    Shard shard(0, settings, 1);
    shard.catalog()->store_in(store);
    if (const auto changes = shard.catalog()->import(all); !changes)
        throw std::runtime_error(fmt::format("{}: {}", file.string(), changes.error()));
    store.add(all);
}

}  // namespace trilby::broker
