// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

// File descriptors: connections take them, and the broker's own files must always find one.

namespace trilby::broker {

/// Raises the process's limit as far as it may be raised; returns it.
std::size_t raise_descriptor_limit();

/// Of this process, now; 0 if the system does not tell.
std::size_t open_descriptors();

/// So many connections may be open beside `own` descriptors of the broker's, whose shards may need some more
/// at any time: segments of the journal, spill files, the catalog's.
std::size_t most_connections(std::size_t limit, std::size_t own, std::size_t shards);

}  // namespace trilby::broker
