// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <random>

namespace trilby::broker::test {

/// Another one in every run; print it with INFO.
inline std::uint32_t random_seed() {
    return std::random_device{}();
}

class Random {
  public:
    explicit Random(std::uint32_t seed) : engine_(seed) {}
    std::uint32_t operator()() { return static_cast<std::uint32_t>(engine_()); }

  private:
    std::mt19937 engine_;
};

}  // namespace trilby::broker::test
