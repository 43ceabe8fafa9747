// SPDX-License-Identifier: Apache-2.0
#include "broker/log/event.hpp"

#include <utility>

#include <spdlog/spdlog.h>

#include "broker/log/spdlog_level.hpp"

namespace trilby::broker::log {

namespace {
thread_local const Fields* current = nullptr;
}

std::string_view to_text(Event event) {
    switch (event) {
        case Event::other: return "";
        case Event::broker_stopping: return "broker_stopping";
        case Event::handshake_failed: return "handshake_failed";
        case Event::login_refused: return "login_refused";
        case Event::connection_opened: return "connection_opened";
        case Event::connection_closed: return "connection_closed";
        case Event::channel_closed: return "channel_closed";
        case Event::arguments_not_served: return "arguments_not_served";
        case Event::signal_ignored: return "signal_ignored";
    }
    std::unreachable();
}

bool takes(Level level) {
    return spdlog::should_log(to_spdlog(level));
}

void write(Level level, const Fields& fields, std::string_view message) {
    current = &fields;
    spdlog::log(to_spdlog(level), message);
    current = nullptr;
}

const Fields* fields_of_this_line() {
    return current;
}

}  // namespace trilby::broker::log
