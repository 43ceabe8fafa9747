// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "protocol/methods/field.hpp"

// Class 50.

namespace trilby::protocol::queue {

struct Declare {
    static constexpr MethodId id{50, 10};
    static constexpr std::string_view name = "queue.declare";
    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    bool passive = false, durable = false, exclusive = false, auto_delete = false, nowait = false;
    TableView arguments{};
    static constexpr auto fields =
        std::tuple{Field{"reserved-1", &Declare::reserved_1}, Field{"queue", &Declare::queue},
                   Field{"passive", &Declare::passive},       Field{"durable", &Declare::durable},
                   Field{"exclusive", &Declare::exclusive},   Field{"auto-delete", &Declare::auto_delete},
                   Field{"no-wait", &Declare::nowait},        Field{"arguments", &Declare::arguments}};
};

struct DeclareOk {
    static constexpr MethodId id{50, 11};
    static constexpr std::string_view name = "queue.declare-ok";
    std::string_view queue{};
    std::uint32_t message_count = 0, consumer_count = 0;
    static constexpr auto fields =
        std::tuple{Field{"queue", &DeclareOk::queue}, Field{"message-count", &DeclareOk::message_count},
                   Field{"consumer-count", &DeclareOk::consumer_count}};
};

struct Bind {
    static constexpr MethodId id{50, 20};
    static constexpr std::string_view name = "queue.bind";
    std::uint16_t reserved_1 = 0;
    std::string_view queue{}, exchange{}, routing_key{};
    bool nowait = false;
    TableView arguments{};
    static constexpr auto fields =
        std::tuple{Field{"reserved-1", &Bind::reserved_1}, Field{"queue", &Bind::queue},
                   Field{"exchange", &Bind::exchange},     Field{"routing-key", &Bind::routing_key},
                   Field{"no-wait", &Bind::nowait},        Field{"arguments", &Bind::arguments}};
};

struct BindOk {
    static constexpr MethodId id{50, 21};
    static constexpr std::string_view name = "queue.bind-ok";
    static constexpr std::tuple<> fields{};
};

struct Purge {
    static constexpr MethodId id{50, 30};
    static constexpr std::string_view name = "queue.purge";
    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    bool nowait = false;
    static constexpr auto fields =
        std::tuple{Field{"reserved-1", &Purge::reserved_1}, Field{"queue", &Purge::queue},
                   Field{"no-wait", &Purge::nowait}};
};

struct PurgeOk {
    static constexpr MethodId id{50, 31};
    static constexpr std::string_view name = "queue.purge-ok";
    std::uint32_t message_count = 0;
    static constexpr auto fields = std::tuple{Field{"message-count", &PurgeOk::message_count}};
};

struct Delete {
    static constexpr MethodId id{50, 40};
    static constexpr std::string_view name = "queue.delete";
    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    bool if_unused = false, if_empty = false, nowait = false;
    static constexpr auto fields =
        std::tuple{Field{"reserved-1", &Delete::reserved_1}, Field{"queue", &Delete::queue},
                   Field{"if-unused", &Delete::if_unused}, Field{"if-empty", &Delete::if_empty},
                   Field{"no-wait", &Delete::nowait}};
};

struct DeleteOk {
    static constexpr MethodId id{50, 41};
    static constexpr std::string_view name = "queue.delete-ok";
    std::uint32_t message_count = 0;
    static constexpr auto fields = std::tuple{Field{"message-count", &DeleteOk::message_count}};
};

struct Unbind {
    static constexpr MethodId id{50, 50};
    static constexpr std::string_view name = "queue.unbind";
    std::uint16_t reserved_1 = 0;
    std::string_view queue{}, exchange{}, routing_key{};
    TableView arguments{};
    static constexpr auto fields =
        std::tuple{Field{"reserved-1", &Unbind::reserved_1}, Field{"queue", &Unbind::queue},
                   Field{"exchange", &Unbind::exchange}, Field{"routing-key", &Unbind::routing_key},
                   Field{"arguments", &Unbind::arguments}};
};

struct UnbindOk {
    static constexpr MethodId id{50, 51};
    static constexpr std::string_view name = "queue.unbind-ok";
    static constexpr std::tuple<> fields{};
};

}  // namespace trilby::protocol::queue
