// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

// How people write sizes and durations, in the configuration and on the command line alike.

namespace trilby::broker {

/// A whole number of bytes, or of KiB, MiB, GiB, TiB (1024), kB, MB, GB, TB (1000): "512MiB". The error is a
/// sentence.
std::expected<std::uint64_t, std::string> parse_byte_size(std::string_view text);

/// A whole number of us, ms, s, min, h or d: "30min". Only 0 needs no unit. The error is a sentence.
std::expected<std::chrono::microseconds, std::string> parse_duration(std::string_view text);

/// What the two read back, in the largest unit that leaves a whole number (durations: up to seconds):
/// "12MiB", "50MB", "1500ms".
std::string byte_size_text(std::uint64_t bytes);
std::string duration_text(std::chrono::microseconds duration);

}  // namespace trilby::broker
