// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace trilby::auth {

/// Who somebody has turned out to be, for as long as the connection lasts. What they may do is asked of
/// `Access`, which may change meanwhile.
struct Identity {
    std::string user;
};

}  // namespace trilby::auth
