// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/common.h>

#include "broker/log/level.hpp"

namespace trilby::broker::log {

constexpr spdlog::level::level_enum to_spdlog(Level level) {
    switch (level) {
        case Level::debug: return spdlog::level::debug;
        case Level::info: return spdlog::level::info;
        case Level::warning: return spdlog::level::warn;
        case Level::error: return spdlog::level::err;
        case Level::critical: return spdlog::level::critical;
    }
    return spdlog::level::critical;
}

constexpr Level from_spdlog(spdlog::level::level_enum level) {
    switch (level) {
        case spdlog::level::trace:
        case spdlog::level::debug: return Level::debug;
        case spdlog::level::info: return Level::info;
        case spdlog::level::warn: return Level::warning;
        case spdlog::level::err: return Level::error;
        default: return Level::critical;
    }
}

}  // namespace trilby::broker::log
