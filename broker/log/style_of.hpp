// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "broker/log/line.hpp"

namespace trilby::broker::log {

/// What suits who reads this descriptor: colours on a terminal, unless NO_COLOR or TERM=dumb say otherwise;
/// priorities instead of times where JOURNAL_STREAM names it as systemd's journal.
Style style_of(int fd, Format format);

}  // namespace trilby::broker::log
