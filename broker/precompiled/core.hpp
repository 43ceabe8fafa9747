// SPDX-License-Identifier: Apache-2.0

// Compiled once for all sources of the broker: what most of them include, and what seldom changes. A source
// includes what it uses all the same; the build is right without this file, and slower. Included by the
// compiler's command line alone, and so without a guard.

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <expected>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "protocol/methods.hpp"

// So that its many parts are put together once.
static_assert(sizeof(trilby::protocol::Method) != 0);
