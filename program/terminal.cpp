// SPDX-License-Identifier: Apache-2.0
#include "program/terminal.hpp"

#include <cstdlib>
#include <string_view>

#include <unistd.h>

namespace trilby::client {
namespace {

std::string_view environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string_view{} : value;
}

}  // namespace

bool moves_the_cursor(int descriptor) {
    return isatty(descriptor) == 1 && environment("TERM") != "dumb";
}

bool shows_colours(int descriptor) {
    return moves_the_cursor(descriptor) && environment("NO_COLOR").empty();
}

}  // namespace trilby::client
