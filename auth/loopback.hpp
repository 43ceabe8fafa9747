// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace trilby::auth {

/// Whether a peer's address is on this machine: 127.0.0.0/8, ::1, or such an IPv4 address mapped into IPv6.
/// The text is as the system prints it (RFC 5952); anything else is not.
bool is_loopback(const std::string& address);

}  // namespace trilby::auth
