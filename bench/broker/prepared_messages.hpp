// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/broker/scenario.hpp"
#include "bench/broker/topology.hpp"

namespace trilby::perf {

/// A producer's messages, ready to send: publish, header and body frames one after the other, as many as make
/// a long write and a whole number of rounds through its addresses. Sending them again takes new stamps only.
class PreparedMessages {
  public:
    PreparedMessages(const Scenario& scenario, const std::string& exchange,
                     const std::vector<Address>& addresses, std::uint32_t frame_max);

    std::size_t count() const { return stamp_at_.size(); }
    char* stamp(std::size_t index) { return bytes_.data() + stamp_at_[index]; }
    std::string_view bytes(std::size_t first, std::size_t end) const {
        return std::string_view(bytes_).substr(begin_[first], begin_[end] - begin_[first]);
    }

  private:
    void append(const Scenario& scenario, const std::string& exchange, const Address& address,
                std::uint32_t frame_max);

    std::string bytes_;
    std::vector<std::size_t> begin_;     // of each message, and the end of the last
    std::vector<std::size_t> stamp_at_;  // where each body starts
};

}  // namespace trilby::perf
