// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "bench/broker/consumer.hpp"
#include "bench/broker/producer.hpp"

namespace trilby::perf {

/// How far a phase is; the only thing that loops of two threads share.
struct Progress {
    static constexpr std::uint64_t unknown = ~std::uint64_t{0};

    std::atomic<std::uint64_t> published{0}, delivered{0};
    std::atomic<std::uint64_t> due{unknown};  ///< deliveries in all, known once publishing has ended
    std::atomic<bool> failed{false};
};

/// A thread's event loop over some of the links.
class Loop {
  public:
    Loop(const Scenario& scenario, const Checker& checker, Progress& progress, Arrivals& arrivals);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    void add(Producer& producer);
    void add(Consumer& consumer);

    /// Until every producer of this loop has published and got its confirms, and all that is due has arrived,
    /// or something failed. Producers stop at `publish_until`.
    void run(Nanoseconds publish_until);
    const std::string& failure() const { return failure_; }

  private:
    struct Watched {
        Link* link;
        bool for_output = false;
    };

    void add_link(Link& link);
    bool send_round();
    void wait(bool at_once);
    void watch_output();
    bool finished();
    bool held() const;
    void note_progress();
    void fail(std::string why);

    const Scenario& scenario_;
    const Checker& checker_;
    Progress& progress_;
    Arrivals& arrivals_;
    int epoll_;
    std::unique_ptr<char[]> buffer_;
    std::vector<Watched> links_;
    std::vector<Producer*> producers_;
    std::vector<Consumer*> consumers_;
    Nanoseconds last_progress_ = 0;
    std::uint64_t progress_seen_ = 0;
    std::string failure_;
};

}  // namespace trilby::perf
