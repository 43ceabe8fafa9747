// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include <malloc.h>
#include <spdlog/logger.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "broker/log/style_of.hpp"
#include "broker/log/writer.hpp"
#include "program/command_line.hpp"
#include "program/commands.hpp"
#include "program/offline_commands.hpp"
#include "program/serve_command.hpp"

// Without memory for a log there is nobody to tell.
int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape)
    namespace log = trilby::broker::log;
    // Each small block joins its neighbours when it is freed. What glibc puts aside for later it joins at
    // once, and that keeps everybody waiting when 100,000 consumers have gone.
    ::mallopt(M_MXFAST, 0);
    const auto writer =
        std::make_shared<log::Writer>(STDERR_FILENO, log::style_of(STDERR_FILENO, log::Format::text));
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("trilby", writer));

    trilby::client::CommandLine commands("Trilby, an AMQP 0-9-1 broker for small deployments",
                                         "trilby " TRILBY_VERSION);
    trilby::broker::add_serve_command(commands, *writer);
    trilby::broker::add_definitions_commands(commands);
    trilby::broker::add_journal_commands(commands);
    trilby::broker::add_config_commands(commands);
    trilby::client::add_client_commands(commands);
    const int code = static_cast<int>(commands.run(argc, argv));
    writer->finish();
    return code;
}
