// SPDX-License-Identifier: Apache-2.0
#include "program/data_options.hpp"

#include <stdexcept>

#include <fmt/format.h>

namespace trilby::broker {

void DataOptions::add_to(CLI::App& command) {
    command.add_option("--config", config, "The broker's configuration file (TOML)")->option_text("FILE");
    command
        .add_option("--data-dir", data_dir,
                    fmt::format("The broker's own directory; otherwise what the configuration says, or {}",
                                default_data_directory().string()))
        ->option_text("DIR");
}

Configuration DataOptions::configuration() const {
    Configuration configuration;
    if (!config.empty()) {
        auto loaded = load_configuration(config);
        if (!loaded) throw std::runtime_error(loaded.error());
        configuration = *std::move(loaded);
    }
    if (!data_dir.empty()) configuration.data_directory = data_dir;
    return configuration;
}

}  // namespace trilby::broker
