// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace trilby::harness {

/// Is the broker at work, and not the test? What a test makes fail is to fail in the broker.
inline unsigned inside = 0;
struct Inside {
    Inside() { ++inside; }
    ~Inside() { --inside; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
};

}  // namespace trilby::harness
