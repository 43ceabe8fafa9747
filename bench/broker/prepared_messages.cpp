// SPDX-License-Identifier: Apache-2.0
#include "bench/broker/prepared_messages.hpp"

#include "bench/broker/stamp.hpp"
#include "protocol/frame.hpp"
#include "protocol/methods.hpp"
#include "protocol/properties.hpp"

namespace trilby::perf {
namespace {

constexpr std::size_t at_least = 256 * 1024;

}  // namespace

PreparedMessages::PreparedMessages(const Scenario& scenario, const std::string& exchange,
                                   const std::vector<Address>& addresses, std::uint32_t frame_max) {
    do {
        for (const Address& address : addresses) append(scenario, exchange, address, frame_max);
    } while (bytes_.size() < at_least);
    begin_.push_back(bytes_.size());
}

void PreparedMessages::append(const Scenario& scenario, const std::string& exchange, const Address& address,
                              std::uint32_t frame_max) {
    protocol::Properties properties;
    if (!address.headers.empty()) properties.headers = protocol::TableView(address.headers);
    if (scenario.persistent) properties.delivery_mode = std::uint8_t{2};
    const std::string encoded = protocol::encode_properties(properties);

    begin_.push_back(bytes_.size());
    protocol::append_method(
        bytes_, 1,
        protocol::basic::Publish{
            .exchange = exchange, .routing_key = address.key, .mandatory = scenario.mandatory});
    const std::size_t content_at = bytes_.size();
    protocol::append_content_header(bytes_, 1, scenario.size, encoded);
    const std::size_t header_size = bytes_.size() - content_at;
    bytes_.resize(content_at);
    protocol::append_content(bytes_, 1, scenario.size, encoded, std::string(scenario.size, filler),
                             frame_max);
    stamp_at_.push_back(content_at + header_size + protocol::frame_head_size);
}

}  // namespace trilby::perf
