// SPDX-License-Identifier: Apache-2.0
// Random conversations with one to eight shards under a scheduler drawn from the seed, against a model.
//   broker_harness [--seed S] [--count N] [--fresh N] [--trace 1]
//       seeds S … S + N - 1, then as many fresh ones, from the clock; prints the first that breaks a rule
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include <spdlog/spdlog.h>

#include "tests/component/harness/peer.hpp"
#include "tests/component/harness/run.hpp"

namespace {

/// Among so many seeds there is something of everything.
constexpr std::uint64_t enough = 1000;

std::uint64_t current = 0;

extern "C" void tell_seed(int signal) {
    std::fprintf(stderr, "seed %llu ended with signal %d\n", static_cast<unsigned long long>(current),
                 signal);
    std::signal(signal, SIG_DFL);
    std::raise(signal);
}

/// False: one broke a rule, and was printed.
bool run_seeds(std::uint64_t first, std::uint64_t count) {
    trilby::harness::Totals totals;
    for (current = first; current != first + count; ++current) {
        try {
            trilby::harness::run(current, totals);
        } catch (const std::exception& violation) {
            std::printf("seed %llu: %s\n", static_cast<unsigned long long>(current), violation.what());
            return false;
        }
    }
    std::printf(
        "%llu seeds from %llu: %llu messages published, %llu turns, %llu queues moved, %llu messages "
        "restored\n",
        static_cast<unsigned long long>(count), static_cast<unsigned long long>(first),
        static_cast<unsigned long long>(totals.messages), static_cast<unsigned long long>(totals.turns),
        static_cast<unsigned long long>(totals.moves), static_cast<unsigned long long>(totals.restored));
    return count < enough || (totals.moves > count / 4 && totals.restored != 0);
}

}  // namespace

int main(int argc, char** argv) {
    std::uint64_t seed = 1;
    std::uint64_t count = 1;
    std::uint64_t fresh = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (std::strcmp(argv[i], "--seed") == 0) seed = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--trace") == 0) trilby::harness::Peer::trace = true;
        if (std::strcmp(argv[i], "--count") == 0) count = std::strtoull(argv[i + 1], nullptr, 10);
        if (std::strcmp(argv[i], "--fresh") == 0) fresh = std::strtoull(argv[i + 1], nullptr, 10);
    }
    spdlog::set_level(spdlog::level::off);
    std::signal(SIGSEGV, tell_seed);
    std::signal(SIGABRT, tell_seed);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto from_clock =
        static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    return run_seeds(seed, count) && run_seeds(from_clock, fresh) ? 0 : 1;
}
