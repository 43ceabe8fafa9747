// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace trilby::client {

/// While it lives, the first SIGINT or SIGTERM makes descriptor() readable instead of ending the program; a
/// second one ends it as usual. One at a time.
class Interrupt {
  public:
    Interrupt();
    ~Interrupt();
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;

    int descriptor() const;
    bool happened() const;
};

}  // namespace trilby::client
