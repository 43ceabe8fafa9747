// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <unordered_map>
#include <vector>

#include "broker/asking/turn.hpp"
#include "broker/catalog/changes.hpp"
#include "broker/catalog/view.hpp"

namespace trilby::broker {

/// What else goes when bindings go: auto-delete exchanges without an outgoing binding left, through chains
/// and loops. It is found over as many turns as it takes, in which nothing else may change in the view.
class Cascade {
  public:
    explicit Cascade(const Vhost& vhost) : vhost_(vhost) {}

    /// A binding from here goes.
    void lose_binding(routing::ExchangeIndex source) { lost_.push_back(source); }
    /// All bindings to it go, and if it is an exchange, it goes itself; its own deletion is not among what
    /// is found.
    void lose_destination(routing::Destination destination);

    /// Goes on, for a step at least, and puts the deletions that it finds behind `changes`. False: the turn
    /// is over, and there is more. Throws std::bad_alloc; it is no good any more then.
    bool go_on(ChangeSet& changes, Turn& turn);

  private:
    struct Loss {
        std::size_t bindings = 0;
        bool gone = false;
    };

    void settle(routing::ExchangeIndex source, ChangeSet& changes, Turn& turn);

    const Vhost& vhost_;
    std::unordered_map<routing::ExchangeIndex, Loss> losses_;
    std::vector<routing::ExchangeIndex> lost_;  // sources that lose a binding, each as often as it does
    std::vector<routing::ExchangeIndex> gone_;  // whose own bindings, as a destination, are to be lost yet
};

}  // namespace trilby::broker
