// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "protocol/methods/field.hpp"

// Class 85, RabbitMQ's.

namespace trilby::protocol::confirm {

struct Select {
    static constexpr MethodId id{85, 10};
    static constexpr std::string_view name = "confirm.select";
    bool nowait = false;
    static constexpr auto fields = std::tuple{Field{"nowait", &Select::nowait}};
};

struct SelectOk {
    static constexpr MethodId id{85, 11};
    static constexpr std::string_view name = "confirm.select-ok";
    static constexpr std::tuple<> fields{};
};

}  // namespace trilby::protocol::confirm
