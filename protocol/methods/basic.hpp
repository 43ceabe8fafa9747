// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "protocol/methods/field.hpp"

// Class 60. nack is RabbitMQ's.

namespace trilby::protocol::basic {

struct Qos {
    static constexpr MethodId id{60, 10};
    static constexpr std::string_view name = "basic.qos";
    std::uint32_t prefetch_size = 0;
    std::uint16_t prefetch_count = 0;
    bool global = false;
    static constexpr auto fields =
        std::tuple{Field{"prefetch-size", &Qos::prefetch_size}, Field{"prefetch-count", &Qos::prefetch_count},
                   Field{"global", &Qos::global}};
};

struct QosOk {
    static constexpr MethodId id{60, 11};
    static constexpr std::string_view name = "basic.qos-ok";
    static constexpr std::tuple<> fields{};
};

struct Consume {
    static constexpr MethodId id{60, 20};
    static constexpr std::string_view name = "basic.consume";
    std::uint16_t reserved_1 = 0;
    std::string_view queue{}, consumer_tag{};
    bool no_local = false, no_ack = false, exclusive = false, nowait = false;
    TableView arguments{};
    static constexpr auto fields = std::tuple{Field{"reserved-1", &Consume::reserved_1},
                                              Field{"queue", &Consume::queue},
                                              Field{"consumer-tag", &Consume::consumer_tag},
                                              Field{"no-local", &Consume::no_local},
                                              Field{"no-ack", &Consume::no_ack},
                                              Field{"exclusive", &Consume::exclusive},
                                              Field{"no-wait", &Consume::nowait},
                                              Field{"arguments", &Consume::arguments}};
};

struct ConsumeOk {
    static constexpr MethodId id{60, 21};
    static constexpr std::string_view name = "basic.consume-ok";
    std::string_view consumer_tag{};
    static constexpr auto fields = std::tuple{Field{"consumer-tag", &ConsumeOk::consumer_tag}};
};

struct Cancel {
    static constexpr MethodId id{60, 30};
    static constexpr std::string_view name = "basic.cancel";
    std::string_view consumer_tag{};
    bool nowait = false;
    static constexpr auto fields =
        std::tuple{Field{"consumer-tag", &Cancel::consumer_tag}, Field{"no-wait", &Cancel::nowait}};
};

struct CancelOk {
    static constexpr MethodId id{60, 31};
    static constexpr std::string_view name = "basic.cancel-ok";
    std::string_view consumer_tag{};
    static constexpr auto fields = std::tuple{Field{"consumer-tag", &CancelOk::consumer_tag}};
};

struct Publish {
    static constexpr MethodId id{60, 40};
    static constexpr std::string_view name = "basic.publish";
    std::uint16_t reserved_1 = 0;
    std::string_view exchange{}, routing_key{};
    bool mandatory = false, immediate = false;
    static constexpr auto fields =
        std::tuple{Field{"reserved-1", &Publish::reserved_1}, Field{"exchange", &Publish::exchange},
                   Field{"routing-key", &Publish::routing_key}, Field{"mandatory", &Publish::mandatory},
                   Field{"immediate", &Publish::immediate}};
};

struct Return {
    static constexpr MethodId id{60, 50};
    static constexpr std::string_view name = "basic.return";
    std::uint16_t reply_code = 0;
    std::string_view reply_text{}, exchange{}, routing_key{};
    static constexpr auto fields =
        std::tuple{Field{"reply-code", &Return::reply_code}, Field{"reply-text", &Return::reply_text},
                   Field{"exchange", &Return::exchange}, Field{"routing-key", &Return::routing_key}};
};

struct Deliver {
    static constexpr MethodId id{60, 60};
    static constexpr std::string_view name = "basic.deliver";
    std::string_view consumer_tag{};
    std::uint64_t delivery_tag = 0;
    bool redelivered = false;
    std::string_view exchange{}, routing_key{};
    static constexpr auto fields =
        std::tuple{Field{"consumer-tag", &Deliver::consumer_tag},
                   Field{"delivery-tag", &Deliver::delivery_tag}, Field{"redelivered", &Deliver::redelivered},
                   Field{"exchange", &Deliver::exchange}, Field{"routing-key", &Deliver::routing_key}};
};

struct Get {
    static constexpr MethodId id{60, 70};
    static constexpr std::string_view name = "basic.get";
    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    bool no_ack = false;
    static constexpr auto fields = std::tuple{Field{"reserved-1", &Get::reserved_1},
                                              Field{"queue", &Get::queue}, Field{"no-ack", &Get::no_ack}};
};

struct GetOk {
    static constexpr MethodId id{60, 71};
    static constexpr std::string_view name = "basic.get-ok";
    std::uint64_t delivery_tag = 0;
    bool redelivered = false;
    std::string_view exchange{}, routing_key{};
    std::uint32_t message_count = 0;
    static constexpr auto fields =
        std::tuple{Field{"delivery-tag", &GetOk::delivery_tag}, Field{"redelivered", &GetOk::redelivered},
                   Field{"exchange", &GetOk::exchange}, Field{"routing-key", &GetOk::routing_key},
                   Field{"message-count", &GetOk::message_count}};
};

struct GetEmpty {
    static constexpr MethodId id{60, 72};
    static constexpr std::string_view name = "basic.get-empty";
    std::string_view reserved_1{};
    static constexpr auto fields = std::tuple{Field{"reserved-1", &GetEmpty::reserved_1}};
};

struct Ack {
    static constexpr MethodId id{60, 80};
    static constexpr std::string_view name = "basic.ack";
    std::uint64_t delivery_tag = 0;
    bool multiple = false;
    static constexpr auto fields =
        std::tuple{Field{"delivery-tag", &Ack::delivery_tag}, Field{"multiple", &Ack::multiple}};
};

struct Reject {
    static constexpr MethodId id{60, 90};
    static constexpr std::string_view name = "basic.reject";
    std::uint64_t delivery_tag = 0;
    bool requeue = false;
    static constexpr auto fields =
        std::tuple{Field{"delivery-tag", &Reject::delivery_tag}, Field{"requeue", &Reject::requeue}};
};

struct RecoverAsync {
    static constexpr MethodId id{60, 100};
    static constexpr std::string_view name = "basic.recover-async";
    bool requeue = false;
    static constexpr auto fields = std::tuple{Field{"requeue", &RecoverAsync::requeue}};
};

struct Recover {
    static constexpr MethodId id{60, 110};
    static constexpr std::string_view name = "basic.recover";
    bool requeue = false;
    static constexpr auto fields = std::tuple{Field{"requeue", &Recover::requeue}};
};

struct RecoverOk {
    static constexpr MethodId id{60, 111};
    static constexpr std::string_view name = "basic.recover-ok";
    static constexpr std::tuple<> fields{};
};

struct Nack {
    static constexpr MethodId id{60, 120};
    static constexpr std::string_view name = "basic.nack";
    std::uint64_t delivery_tag = 0;
    bool multiple = false, requeue = false;
    static constexpr auto fields =
        std::tuple{Field{"delivery-tag", &Nack::delivery_tag}, Field{"multiple", &Nack::multiple},
                   Field{"requeue", &Nack::requeue}};
};

}  // namespace trilby::protocol::basic
