// SPDX-License-Identifier: Apache-2.0
#include "broker/shard/restore.hpp"

#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace trilby::broker {

Restored restore(journal::Journal& journal, std::span<const std::unique_ptr<Shard>> shards) {
    Restored restored;
    std::unordered_map<journal::StoredQueue, const QueueInfo*> queues;
    shards.front()->view().each_queue([&](const QueueInfo& queue) {
        if (queue.durable) queues.emplace(stored_id(queue.id), &queue);
    });
    std::vector<std::pair<journal::StoredQueue, journal::MessageId>> orphans;
    journal.restore([&](journal::MessageId id, const journal::Living::Holder& holder) {
        const auto found = queues.find(holder.queue);
        if (found == queues.end()) {
            orphans.emplace_back(holder.queue, id);
            return;
        }
        shards[found->second->home]->restore(found->second->id, id, holder.deliveries != 0);
        ++restored.messages;
    });
    // The catalog is not older than the journal, so their queues were there, and went.
    std::unordered_set<journal::StoredQueue> deleted;
    for (const auto& [queue, message] : orphans) {
        journal.forget(queue, message);
        deleted.insert(queue);
    }
    restored.forgotten = orphans.size();
    restored.deleted_queues = deleted.size();
    for (std::size_t i = 0; i < shards.size(); ++i) shards[i]->keep_in(journal.end(i));
    return restored;
}

}  // namespace trilby::broker
