// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of the directories given: the corpus is a regression test for every
// compiler.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
    std::size_t files = 0;
    for (int i = 1; i < argc; ++i) {
        for (const auto& entry : std::filesystem::directory_iterator{argv[i]}) {
            std::ifstream in{entry.path(), std::ios::binary};
            std::string bytes{std::istreambuf_iterator<char>{in}, {}};
            bytes.shrink_to_fit();
            std::printf("%s\n", entry.path().c_str());  // the last one printed is the one that broke a rule
            std::fflush(stdout);
            LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
            ++files;
        }
    }
    if (files == 0) std::puts("no input found");
    return files == 0 ? 1 : 0;
}
