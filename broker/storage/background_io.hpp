// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "broker/ids/ids.hpp"

namespace trilby::broker {

/// The thread that waits for the disk, so that shards need not: brings what a shard wants to read into the
/// system's cache, where the shard finds it, and writes what it spills. Started with the first request.
class BackgroundIo {
  public:
    struct Request {
        int file = -1;  // a read closes it; -1: only a pause, for who has to try again
        std::uint64_t offset = 0;
        std::uint64_t size = 0;
        const char* octets = nullptr;  // to be written; null: to be read
        ShardIndex shard = 0;
        std::atomic<std::uint32_t>* completed = nullptr;  // of the shard; counts up
        int error = 0;                                    // of a write
        std::atomic<bool> done{false};
    };

    enum class Turns : std::uint8_t { own_thread, by_hand };
    using Completed = std::function<void(ShardIndex shard)>;
    /// `completed` is called by this thread after each request. By hand there is none, and `turn` is called
    /// instead.
    explicit BackgroundIo(Completed completed, Turns turns = Turns::own_thread)
        : completed_(std::move(completed)), by_hand_(turns == Turns::by_hand) {}
    ~BackgroundIo() { stop(); }
    BackgroundIo(const BackgroundIo&) = delete;
    BackgroundIo& operator=(const BackgroundIo&) = delete;

    /// Any shard's thread. The request is the caller's, and stays where it is until it is done.
    void submit(Request& request);
    /// The thread is there from now on; without it the first request starts it. Throws std::system_error.
    void start();
    /// Does what has been asked for, and ends. Nobody may ask any more.
    void stop();
    /// By hand: carries out the oldest request; false: nobody waits.
    bool turn();
    bool has_requests();

  private:
    void begin();
    void run();
    void complete(Request& request);
    void carry_out(Request& request);

    const Completed completed_;
    const bool by_hand_;
    std::mutex mutex_;
    std::condition_variable wanted_;
    std::deque<Request*> requests_;
    bool over_ = false;
    std::jthread thread_;
};

}  // namespace trilby::broker
