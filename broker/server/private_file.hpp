// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include <sys/types.h>

namespace trilby::broker {

/// Writes the file as a whole: under another name first, readable by its owner alone (0600), then in the
/// place of what was there. A device or a pipe is written to as it is. Never through a symbolic link. Throws
/// std::runtime_error with a sentence for the operator; what was there before is there still then.
void write_private_file(const std::filesystem::path& path, std::string_view content);

/// Its group, or everybody.
bool writable_by_others(mode_t mode);
/// Likewise, of what is there; false if nothing is.
bool writable_by_others(const std::filesystem::path& path);

}  // namespace trilby::broker
