// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/routing_tool/measure.hpp"
#include "bench/routing_tool/workload.hpp"

int main(int argc, char** argv) {
    using namespace trilby;
    CLI::App app("Measures routing: bindings and keys from files, through the table that the broker uses.");
    std::string bindings_file, keys_file;
    bool headers = false;
    unsigned passes = 5;
    app.add_option("--bindings", bindings_file, "`pattern TAB queue` a line")->required();
    app.add_option("--keys", keys_file, "one routing key a line")->required();
    app.add_flag(
        "--headers", headers,
        R"(a headers exchange: bindings are JSON lines {"queue": …, "arguments": {…}}, keys are JSON lines of headers)");
    app.add_option("--repeat", passes, "timed passes over all keys; the median counts")
        ->check(CLI::Range(1, 1000));
    CLI11_PARSE(app, argc, argv);

    const auto workload = headers ? bench::read_headers_workload(bindings_file, keys_file)
                                  : bench::read_topic_workload(bindings_file, keys_file);
    if (!workload) {
        fmt::print(stderr, "{}\n", workload.error());
        return 1;
    }
    const auto figures = bench::measure(
        *workload, headers ? routing::ExchangeType::headers : routing::ExchangeType::topic, passes);
    fmt::print(
        R"({{"routes":{},"ns_per_route":{:.1f},"matches":{},"distinct_queues":{},"bind_ns":{:.0f},)"
        R"("unbind_ns":{:.0f},"build_ms":{:.2f},"bytes_per_binding":{:.1f},"allocations_per_route":{}}})"
        "\n",
        figures.routes, figures.ns_per_route, figures.matches, figures.distinct_queues, figures.bind_ns,
        figures.unbind_ns, figures.build_ms, figures.bytes_per_binding, figures.allocations_per_route);
    return 0;
}
