// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "protocol/methods/field.hpp"

// Class 30: left over from AMQP 0-9; old clients still ask, and every ticket is ignored.

namespace trilby::protocol::access {

struct Request {
    static constexpr MethodId id{30, 10};
    static constexpr std::string_view name = "access.request";
    std::string_view realm{};
    bool exclusive = false, passive = false, active = false, write = false, read = false;
    static constexpr auto fields =
        std::tuple{Field{"realm", &Request::realm},     Field{"exclusive", &Request::exclusive},
                   Field{"passive", &Request::passive}, Field{"active", &Request::active},
                   Field{"write", &Request::write},     Field{"read", &Request::read}};
};

struct RequestOk {
    static constexpr MethodId id{30, 11};
    static constexpr std::string_view name = "access.request-ok";
    std::uint16_t ticket = 0;
    static constexpr auto fields = std::tuple{Field{"ticket", &RequestOk::ticket}};
};

}  // namespace trilby::protocol::access
