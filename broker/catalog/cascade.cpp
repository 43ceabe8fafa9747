// SPDX-License-Identifier: Apache-2.0
#include "broker/catalog/cascade.hpp"

namespace trilby::broker {

void Cascade::lose_destination(routing::Destination destination) {
    if (destination.kind == routing::Destination::Kind::exchange) losses_[destination.index].gone = true;
    vhost_.routes.each_binding_of(destination, [this](routing::ExchangeIndex source, std::string_view,
                                                      protocol::TableView) { lost_.push_back(source); });
}

bool Cascade::go_on(ChangeSet& changes, Turn& turn) {
    while (!lost_.empty() || !gone_.empty()) {
        if (lost_.empty()) {
            const routing::ExchangeIndex next = gone_.back();
            gone_.pop_back();
            turn.spend(Turn::change);
            lose_destination({routing::Destination::Kind::exchange, next});
        } else {
            const routing::ExchangeIndex source = lost_.back();
            lost_.pop_back();
            turn.spend(Turn::binding);
            settle(source, changes, turn);
        }
        if (turn.is_over()) break;
    }
    return lost_.empty() && gone_.empty();
}

void Cascade::settle(routing::ExchangeIndex source, ChangeSet& changes, Turn& turn) {
    Loss& loss = losses_[source];
    ++loss.bindings;
    if (loss.gone || !vhost_.exchanges[source].auto_delete ||
        loss.bindings < vhost_.routes.bindings_from(source))
        return;
    loss.gone = true;
    gone_.push_back(source);
    turn.spend(Turn::change);
    changes.push_back(change::DeleteExchange{vhost_.index, vhost_.exchanges[source].name});
}

}  // namespace trilby::broker
