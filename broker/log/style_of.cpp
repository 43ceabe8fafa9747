// SPDX-License-Identifier: Apache-2.0
#include "broker/log/style_of.hpp"

#include <cstdlib>
#include <string_view>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace trilby::broker::log {

namespace {

std::string_view environment(const char* name) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : "";
}

/// systemd sets the variable to the device and the inode of what it gave the service, which may have passed
/// its environment on to something whose output goes elsewhere.
bool is_journal(int fd) {
    struct stat status {};
    return ::fstat(fd, &status) == 0 &&
           environment("JOURNAL_STREAM") == fmt::format("{}:{}", status.st_dev, status.st_ino);
}

}  // namespace

Style style_of(int fd, Format format) {
    return {.format = format,
            .colours = ::isatty(fd) == 1 && environment("NO_COLOR").empty() && environment("TERM") != "dumb",
            .journal = is_journal(fd)};
}

}  // namespace trilby::broker::log
