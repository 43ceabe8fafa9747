// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/process_usage.hpp"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

namespace trilby::perf {
namespace {

/// Nanoseconds on a processor, summed over the threads. 0 when the kernel keeps no such count.
std::chrono::nanoseconds scheduled(pid_t process) {
    std::int64_t total = 0;
    std::error_code gone;
    for (const auto& thread :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process), gone)) {
        std::int64_t on_processor = 0;
        if (std::ifstream in(thread.path() / "schedstat"); in >> on_processor) total += on_processor;
    }
    return std::chrono::nanoseconds(total);
}

/// In steps of a clock tick, 10 ms.
std::chrono::nanoseconds ticked(pid_t process) {
    std::ifstream in(fmt::format("/proc/{}/stat", process));
    std::string line;
    std::getline(in, line);
    const auto name_end = line.rfind(')');
    if (name_end == std::string::npos) return {};
    std::uint64_t user = 0, system = 0;
    // Fields 14 and 15; what follows the name starts with field 3.
    std::size_t at = name_end + 1;
    for (int field = 3; field < 14 && at != std::string::npos; ++field) at = line.find(' ', at + 1);
    if (at == std::string::npos) return {};
    char* next = nullptr;
    user = std::strtoull(line.c_str() + at, &next, 10);
    system = std::strtoull(next, nullptr, 10);
    return std::chrono::nanoseconds((user + system) * 1'000'000'000 /
                                    static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
}

}  // namespace

std::optional<ProcessUsage> usage_of(pid_t process) {
    std::ifstream status(fmt::format("/proc/{}/status", process));
    if (!status) return std::nullopt;
    ProcessUsage usage;
    for (std::string word; status >> word;) {
        if (word == "VmRSS:") status >> usage.resident_kib;
        if (word == "VmHWM:") status >> usage.peak_resident_kib;
    }
    usage.cpu = scheduled(process);
    if (usage.cpu.count() == 0) usage.cpu = ticked(process);
    return usage;
}

std::chrono::nanoseconds own_cpu() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace trilby::perf
