// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/damage.hpp"

#include <fmt/format.h>

namespace trilby::broker::journal {

std::string to_text(const Damage& damage) {
    const std::string octets = damage.size == 0 ? "octets" : fmt::format("{} octets", damage.size);
    return fmt::format("{}: {} at {} {}: {}", damage.file, octets, damage.offset,
                       damage.kind == Damage::Kind::missing ? "are missing" : "are damaged", damage.text);
}

}  // namespace trilby::broker::journal
