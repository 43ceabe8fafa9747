// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "broker/arguments/arguments.hpp"

namespace trilby::broker {

/// Names the arguments that are checked, kept and compared, but that queues do not act on: "x-message-ttl,
/// x-max-length". Empty if there are none. Said in the log, so that nobody relies on them unknowingly.
std::string unserved_arguments(const QueueArguments& arguments);

}  // namespace trilby::broker
