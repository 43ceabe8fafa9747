// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/broker/options.hpp"
#include "bench/broker/report.hpp"
#include "bench/broker/run.hpp"

namespace {

using namespace trilby::perf;

constexpr int usage_error = 2;

int complain(std::string_view sentence, int code) {
    std::fflush(stdout);
    fmt::print(stderr, "trilby-perf: {}\n", sentence);
    return code;
}

int idle(const Scenario& scenario) {
    const auto findings = run_idle(scenario);
    if (!findings) return complain(findings.error(), 1);
    fmt::print("{}\n", report(scenario, *findings));
    return 0;
}

int load(const Scenario& scenario) {
    const auto findings = run_load(scenario);
    if (!findings) return complain(findings.error(), 1);
    fmt::print("{}\n", report(scenario, *findings));
    if (!findings->failure.empty()) complain(findings->failure, 1);
    if (!findings->faults.none()) complain(findings->faults.first, 1);
    return findings->good() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "Puts a load on an AMQP 0-9-1 broker, checks that nothing is lost, doubled or out of order, and says "
        "what it cost."};
    Scenario scenario;
    add_options(app, scenario);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : usage_error;
    }
    if (const std::string wrong = complete(scenario); !wrong.empty()) return complain(wrong, usage_error);
    return scenario.idle_connections != 0 ? idle(scenario) : load(scenario);
}
