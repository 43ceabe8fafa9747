// SPDX-License-Identifier: Apache-2.0
// Random conversations with one to four shards under a scheduler drawn from the seed, against a model.
//   broker_harness [--seed S] [--count N] [--trace 1]     seeds S … S + N - 1; prints the first that breaks a rule
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "tests/component/harness/peer.hpp"
#include "tests/component/harness/run.hpp"

namespace {

std::uint64_t current = 0;

extern "C" void tell_seed(int signal) {
    std::fprintf(stderr, "seed %llu ended with signal %d\n", static_cast<unsigned long long>(current), signal);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seed = 1;
    std::uint64_t count = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--seed") == 0) seed = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--trace") == 0) trilby::harness::Peer::trace = true;
        if (std::strcmp(argv[i], "--count") == 0) count = std::strtoull(argv[i + 1], nullptr, 10);
    }
    spdlog::set_level(spdlog::level::off);
    std::signal(SIGSEGV, tell_seed);
    std::signal(SIGABRT, tell_seed);
    trilby::harness::Totals totals;
    for (current = seed; current != seed + count; ++current) {
        try {
            trilby::harness::run(current, totals);
        } catch (const std::exception& violation) {
            std::printf("seed %llu: %s\n", static_cast<unsigned long long>(current), violation.what());
            return 1;
        }
    }
    std::printf("%llu seeds from %llu: %llu messages published, %llu turns\n", static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(seed), static_cast<unsigned long long>(totals.messages),
                static_cast<unsigned long long>(totals.turns));
    return 0;
}
