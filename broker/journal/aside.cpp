// SPDX-License-Identifier: Apache-2.0
#include "broker/journal/aside.hpp"

#include <algorithm>

namespace trilby::broker::journal {

void move_aside(Files& files, const std::string& name) {
    const std::vector<std::string> taken = files.list();
    std::string aside = name + ".aside";
    for (unsigned number = 2; std::find(taken.begin(), taken.end(), aside) != taken.end(); ++number)
        aside = name + ".aside-" + std::to_string(number);
    files.rename(name, aside);
}

}  // namespace trilby::broker::journal
