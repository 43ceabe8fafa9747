// SPDX-License-Identifier: Apache-2.0
#include "broker/server/memory_limit.hpp"

#include <doctest/doctest.h>

#include "tests/unit/broker/temporary_folder.hpp"

using trilby::broker::memory_limit;

namespace {

constexpr std::uint64_t machine = 8ull << 30;
constexpr std::string_view meminfo =
    "MemFree:   1024 kB\nMemTotal:       8388608 kB\nHugePages_Total:       0\n";

}  // namespace

TEST_CASE("without control groups the limit is what the machine has") {
    const TemporaryFolder root;
    root.write("proc/meminfo", meminfo);
    CHECK(memory_limit(root.path()) == machine);
}

TEST_CASE("where nothing can be found out the limit is 0") {
    const TemporaryFolder root;
    CHECK(memory_limit(root.path()) == 0);
    root.write("proc/meminfo", "nonsense\n");
    root.write("proc/self/cgroup", "nonsense\n1:2\n\n");
    CHECK(memory_limit(root.path()) == 0);
}

TEST_CASE("in version 2 the least limit of the group and those above it counts") {
    const TemporaryFolder root;
    root.write("proc/meminfo", meminfo);
    root.write("proc/self/cgroup", "0::/system.slice/trilby.service\n");
    root.write("sys/fs/cgroup/system.slice/trilby.service/memory.max", "max\n");
    CHECK(memory_limit(root.path()) == machine);
    root.write("sys/fs/cgroup/system.slice/memory.max", "2147483648\n");
    CHECK(memory_limit(root.path()) == 2ull << 30);
    root.write("sys/fs/cgroup/system.slice/trilby.service/memory.max", "1073741824\n");
    CHECK(memory_limit(root.path()) == 1ull << 30);
    root.write("sys/fs/cgroup/system.slice/trilby.service/memory.max", "4294967296\n");
    CHECK(memory_limit(root.path()) == 2ull << 30);
}

TEST_CASE("in a container the limit stands at the mount though the group's path does not exist there") {
    const TemporaryFolder root;
    root.write("proc/meminfo", meminfo);
    root.write("proc/self/cgroup", "0::/../../machine.slice/abc\n");
    root.write("sys/fs/cgroup/memory.max", "536870912\n");
    CHECK(memory_limit(root.path()) == 512ull << 20);
}

TEST_CASE("in version 1 the memory controller's group counts, and its unlimited value is above any machine") {
    const TemporaryFolder root;
    root.write("proc/meminfo", meminfo);
    root.write("proc/self/cgroup", "5:cpu,memory:/docker/abc\n4:cpuset:/x\n0::/\n");
    root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    CHECK(memory_limit(root.path()) == machine);
    root.write("sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "268435456\n");
    CHECK(memory_limit(root.path()) == 256ull << 20);
}

TEST_CASE("this machine has memory") {
    CHECK(memory_limit() > (1ull << 20));
}
