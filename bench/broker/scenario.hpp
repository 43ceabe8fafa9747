// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "client/url.hpp"

namespace trilby::perf {

/// One run, as the command line says it.
struct Scenario {
    std::string url_text{client::Url::default_text};
    client::Url url;

    std::size_t producers = 1, consumers = 1, queues = 1;
    std::size_t size = 16;  ///< bytes of each body
    std::string exchange_type = "direct";
    std::optional<std::string>
        exchange;  ///< an existing one ("" is the default exchange); else one of our own
    std::string bindings_file, keys_file;
    std::size_t topic_bindings = 0, headers_bindings = 0, matches = 1;
    std::string queue;  ///< one of this name, which stays; else queues of our own, which go with the run
    std::string only;   ///< "producers" or "consumers": a backlog is made by one run and drained by another
    std::uint64_t taken = 0;  ///< of each producer's messages, before consumers that are alone begin

    std::size_t confirm_window = 0;  ///< 0: no confirms
    std::uint32_t acknowledge = 0;   ///< every so many deliveries; 0: automatic
    std::uint16_t prefetch = 0;
    bool persistent = false, mandatory = false;

    double rate = 0;  ///< of each producer; 0: as fast as it goes
    bool latency = false, ping_pong = false;

    std::uint64_t messages = 0;  ///< of each producer; 0: for `seconds`
    double seconds = 5;
    double warmup = 1;  ///< seconds before anything is measured
    std::size_t threads = 1;
    double patience = 30;  ///< seconds without any progress that mean a message is lost

    std::size_t idle_connections = 0;
    int broker_process = 0;
    bool human = false;

    bool timed() const { return latency || ping_pong || rate > 0; }
    bool publishes() const { return only != "consumers"; }
    bool consumes() const { return only != "producers"; }
};

}  // namespace trilby::perf
