// SPDX-License-Identifier: Apache-2.0
#include "broker/server/stop_deadline.hpp"

#include <csignal>
#include <cstdlib>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace trilby::broker {

using boost::system::error_code;

StopDeadline::StopDeadline(std::chrono::milliseconds after_signal)
    : signals_(io_, SIGTERM, SIGINT), timer_(io_) {
    signals_.async_wait([this, after_signal](error_code error, int) {
        if (!error) arm(after_signal);
    });
    thread_ = std::jthread([this] { io_.run(); });
}

StopDeadline::~StopDeadline() {
    io_.stop();
}

void StopDeadline::begin(std::chrono::milliseconds longest) {
    boost::asio::post(io_, [this, longest] { arm(longest); });
}

void StopDeadline::arm(std::chrono::milliseconds longest) {
    const Clock::time_point deadline = Clock::now() + longest;
    if (deadline_ && *deadline_ <= deadline) return;
    deadline_ = deadline;
    timer_.expires_at(deadline);
    timer_.async_wait([longest](error_code error) {
        if (error) return;
        spdlog::critical("the broker has not stopped within {} ms and is ended", longest.count());
        spdlog::default_logger_raw()->flush();
        std::_Exit(1);
    });
}

}  // namespace trilby::broker
