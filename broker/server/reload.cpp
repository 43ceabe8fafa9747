// SPDX-License-Identifier: Apache-2.0
#include "broker/server/reload.hpp"

#include "broker/server/configuration_keys.hpp"

namespace trilby::broker {

ChangedKeys take_over(Configuration& running, const Configuration& fresh) {
    ChangedKeys changed;
    for (const ConfigurationKey& key : all_configuration_keys()) {
        if (key.same(running, fresh)) continue;
        if (key.changes == Changes::while_running) {
            key.copy(running, fresh);
            changed.taken.push_back(key.name);
        } else {
            changed.need_restart.push_back(key.name);
        }
    }
    return changed;
}

}  // namespace trilby::broker
