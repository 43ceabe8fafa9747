// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "broker/definitions/definitions.hpp"

namespace trilby::broker {

struct ParsedDefinitions {
    Definitions definitions;
    std::vector<std::string> remarks;  // what was passed over, a sentence each
};

/// What RabbitMQ 3.6 to 4 exports. Missing sections are empty, members that are not known are passed over and
/// remarked upon; a document without any section is refused. With `vhost` the entries are read as those of
/// that virtual host, and what is of the whole broker is passed over. The error says what and where:
/// `queues[3]: "durable" must be true or false, not "yes"`. Whether names refer to something is not checked.
std::expected<ParsedDefinitions, std::string> read_definitions(std::string_view json,
                                                               const std::string& vhost = {});

}  // namespace trilby::broker
