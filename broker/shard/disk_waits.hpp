// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>

#include "broker/asking/answer.hpp"

namespace trilby::broker {

/// Who waits until the disk has what it gave the journal, in the order of the positions there. One shard's.
class DiskWaits {
  public:
    /// Positions of one stream come in order. Throws std::bad_alloc with nothing changed.
    void for_publishes(std::uint64_t position, ReplyTo asker) { publishes_.push_back({position, asker}); }
    void for_settles(std::uint64_t position, ReplyTo asker) { settles_.push_back({position, asker}); }

    /// The disk has come so far. `tell…(ReplyTo)` may throw: it is told again the next time.
    template <class TellPublisher, class TellSettler>
    void answer(std::uint64_t publishes, TellPublisher tell_publisher, std::uint64_t settles,
                TellSettler tell_settler) {
        answer(publishes_, publishes, tell_publisher);
        answer(settles_, settles, tell_settler);
    }
    /// Nobody can tell when settles are safe; what waits for publishes was not promised, and goes on waiting.
    template <class Tell>
    void give_up_settles(Tell tell) {
        answer(settles_, UINT64_MAX, tell);
    }

  private:
    struct Wait {
        std::uint64_t position;
        ReplyTo asker;
    };
    template <class Tell>
    static void answer(std::deque<Wait>& waits, std::uint64_t safe, Tell& tell) {
        for (; !waits.empty() && waits.front().position <= safe; waits.pop_front()) tell(waits.front().asker);
    }

    std::deque<Wait> publishes_;
    std::deque<Wait> settles_;
};

}  // namespace trilby::broker
