// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "protocol/methods/field.hpp"

// Class 40. bind and unbind are RabbitMQ's.

namespace trilby::protocol::exchange {

struct Declare {
    static constexpr MethodId id{40, 10};
    static constexpr std::string_view name = "exchange.declare";
    std::uint16_t reserved_1 = 0;
    std::string_view exchange{}, type{};
    bool passive = false, durable = false, auto_delete = false, internal = false, nowait = false;
    TableView arguments{};
    static constexpr auto fields = std::tuple{Field{"reserved-1", &Declare::reserved_1},
                                              Field{"exchange", &Declare::exchange},
                                              Field{"type", &Declare::type},
                                              Field{"passive", &Declare::passive},
                                              Field{"durable", &Declare::durable},
                                              Field{"auto-delete", &Declare::auto_delete},
                                              Field{"internal", &Declare::internal},
                                              Field{"no-wait", &Declare::nowait},
                                              Field{"arguments", &Declare::arguments}};
};

struct DeclareOk {
    static constexpr MethodId id{40, 11};
    static constexpr std::string_view name = "exchange.declare-ok";
    static constexpr std::tuple<> fields{};
};

struct Delete {
    static constexpr MethodId id{40, 20};
    static constexpr std::string_view name = "exchange.delete";
    std::uint16_t reserved_1 = 0;
    std::string_view exchange{};
    bool if_unused = false, nowait = false;
    static constexpr auto fields =
        std::tuple{Field{"reserved-1", &Delete::reserved_1}, Field{"exchange", &Delete::exchange},
                   Field{"if-unused", &Delete::if_unused}, Field{"no-wait", &Delete::nowait}};
};

struct DeleteOk {
    static constexpr MethodId id{40, 21};
    static constexpr std::string_view name = "exchange.delete-ok";
    static constexpr std::tuple<> fields{};
};

struct Bind {
    static constexpr MethodId id{40, 30};
    static constexpr std::string_view name = "exchange.bind";
    std::uint16_t reserved_1 = 0;
    std::string_view destination{}, source{}, routing_key{};
    bool nowait = false;
    TableView arguments{};
    static constexpr auto fields =
        std::tuple{Field{"reserved-1", &Bind::reserved_1}, Field{"destination", &Bind::destination},
                   Field{"source", &Bind::source},         Field{"routing-key", &Bind::routing_key},
                   Field{"no-wait", &Bind::nowait},        Field{"arguments", &Bind::arguments}};
};

struct BindOk {
    static constexpr MethodId id{40, 31};
    static constexpr std::string_view name = "exchange.bind-ok";
    static constexpr std::tuple<> fields{};
};

struct Unbind {
    static constexpr MethodId id{40, 40};
    static constexpr std::string_view name = "exchange.unbind";
    std::uint16_t reserved_1 = 0;
    std::string_view destination{}, source{}, routing_key{};
    bool nowait = false;
    TableView arguments{};
    static constexpr auto fields =
        std::tuple{Field{"reserved-1", &Unbind::reserved_1}, Field{"destination", &Unbind::destination},
                   Field{"source", &Unbind::source},         Field{"routing-key", &Unbind::routing_key},
                   Field{"no-wait", &Unbind::nowait},        Field{"arguments", &Unbind::arguments}};
};

struct UnbindOk {
    // 51, not 41: RabbitMQ never used 41.
    static constexpr MethodId id{40, 51};
    static constexpr std::string_view name = "exchange.unbind-ok";
    static constexpr std::tuple<> fields{};
};

}  // namespace trilby::protocol::exchange
