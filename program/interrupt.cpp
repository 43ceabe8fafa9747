// SPDX-License-Identifier: Apache-2.0
#include "program/interrupt.hpp"

#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace trilby::client {
namespace {

// Read, write. Global because a signal handler has nothing else to hold on to.
int wake_pipe[2] = {-1, -1};

void on_signal(int) {
    // A full pipe is as good: it is readable already.
    [[maybe_unused]] const auto written = write(wake_pipe[1], "", 1);
}

}  // namespace

Interrupt::Interrupt() {
    if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        return;  // signals then end the program, as they always do
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

Interrupt::~Interrupt() {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
    for (int& end : wake_pipe) {
        if (end >= 0) close(end);
        end = -1;
    }
}

int Interrupt::descriptor() const {
    return wake_pipe[0];
}

bool Interrupt::happened() const {
    pollfd waiting{wake_pipe[0], POLLIN, 0};
    return poll(&waiting, 1, 0) > 0;
}

}  // namespace trilby::client
