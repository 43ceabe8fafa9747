// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "broker/asking/answer.hpp"

namespace trilby::broker {

/// Who asks the catalog, a queue's home or the disk, and is answered. On its own shard's thread.
class Asker {
  public:
    Asker(const Asker&) = delete;
    Asker& operator=(const Asker&) = delete;

    /// Of what it asked under that number; never before its question has returned.
    virtual void answered(std::uint32_t number, const Answer& answer) = 0;
    /// Something that was done for it has thrown: it is to end, and the shard goes on.
    virtual void fail(const char* what) noexcept = 0;

  protected:
    Asker() = default;
    ~Asker() = default;
};

}  // namespace trilby::broker
