// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <expected>
#include <string>

#include "broker/catalog/changes.hpp"
#include "broker/catalog/queue_numbers.hpp"
#include "broker/definitions/definitions.hpp"

namespace trilby::broker {

/// The virtual host `/` and RabbitMQ's default user `guest`.
Definitions embedded_default();

/// All there is at start, as changes to a view that has nothing; gives ids to the queues that have none, and
/// homes among so many shards. Refused as a whole, with a sentence that names the object, if something in it
/// names what does not exist or is not valid.
std::expected<ChangeSet, std::string> import_all(Definitions& definitions, QueueNumbers& numbers,
                                                 std::size_t shards);

}  // namespace trilby::broker
