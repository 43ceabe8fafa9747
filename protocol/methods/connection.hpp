// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "protocol/methods/field.hpp"

// Class 10. blocked, unblocked and update-secret are RabbitMQ's.

namespace trilby::protocol::connection {

struct Start {
    static constexpr MethodId id{10, 10};
    static constexpr std::string_view name = "connection.start";
    std::uint8_t version_major = 0, version_minor = 0;
    TableView server_properties{};
    std::string_view mechanisms{}, locales{};
    static constexpr auto fields = std::tuple{
        Field{"version-major", &Start::version_major}, Field{"version-minor", &Start::version_minor},
        Field{"server-properties", &Start::server_properties}, LongString{"mechanisms", &Start::mechanisms},
        LongString{"locales", &Start::locales}};
};

struct StartOk {
    static constexpr MethodId id{10, 11};
    static constexpr std::string_view name = "connection.start-ok";
    TableView client_properties{};
    std::string_view mechanism{}, response{}, locale{};
    static constexpr auto fields = std::tuple{
        Field{"client-properties", &StartOk::client_properties}, Field{"mechanism", &StartOk::mechanism},
        Secret{"response", &StartOk::response}, Field{"locale", &StartOk::locale}};
};

struct Secure {
    static constexpr MethodId id{10, 20};
    static constexpr std::string_view name = "connection.secure";
    std::string_view challenge{};
    static constexpr auto fields = std::tuple{LongString{"challenge", &Secure::challenge}};
};

struct SecureOk {
    static constexpr MethodId id{10, 21};
    static constexpr std::string_view name = "connection.secure-ok";
    std::string_view response{};
    static constexpr auto fields = std::tuple{Secret{"response", &SecureOk::response}};
};

struct Tune {
    static constexpr MethodId id{10, 30};
    static constexpr std::string_view name = "connection.tune";
    std::uint16_t channel_max = 0;
    std::uint32_t frame_max = 0;
    std::uint16_t heartbeat = 0;
    static constexpr auto fields =
        std::tuple{Field{"channel-max", &Tune::channel_max}, Field{"frame-max", &Tune::frame_max},
                   Field{"heartbeat", &Tune::heartbeat}};
};

struct TuneOk {
    static constexpr MethodId id{10, 31};
    static constexpr std::string_view name = "connection.tune-ok";
    std::uint16_t channel_max = 0;
    std::uint32_t frame_max = 0;
    std::uint16_t heartbeat = 0;
    static constexpr auto fields =
        std::tuple{Field{"channel-max", &TuneOk::channel_max}, Field{"frame-max", &TuneOk::frame_max},
                   Field{"heartbeat", &TuneOk::heartbeat}};
};

struct Open {
    static constexpr MethodId id{10, 40};
    static constexpr std::string_view name = "connection.open";
    std::string_view virtual_host{}, reserved_1{};
    bool reserved_2 = false;
    static constexpr auto fields =
        std::tuple{Field{"virtual-host", &Open::virtual_host}, Field{"reserved-1", &Open::reserved_1},
                   Field{"reserved-2", &Open::reserved_2}};
};

struct OpenOk {
    static constexpr MethodId id{10, 41};
    static constexpr std::string_view name = "connection.open-ok";
    std::string_view reserved_1{};
    static constexpr auto fields = std::tuple{Field{"reserved-1", &OpenOk::reserved_1}};
};

struct Close {
    static constexpr MethodId id{10, 50};
    static constexpr std::string_view name = "connection.close";
    std::uint16_t reply_code = 0;
    std::string_view reply_text{};
    std::uint16_t class_id = 0, method_id = 0;
    static constexpr auto fields =
        std::tuple{Field{"reply-code", &Close::reply_code}, Field{"reply-text", &Close::reply_text},
                   Field{"class-id", &Close::class_id}, Field{"method-id", &Close::method_id}};
};

struct CloseOk {
    static constexpr MethodId id{10, 51};
    static constexpr std::string_view name = "connection.close-ok";
    static constexpr std::tuple<> fields{};
};

struct Blocked {
    static constexpr MethodId id{10, 60};
    static constexpr std::string_view name = "connection.blocked";
    std::string_view reason{};
    static constexpr auto fields = std::tuple{Field{"reason", &Blocked::reason}};
};

struct Unblocked {
    static constexpr MethodId id{10, 61};
    static constexpr std::string_view name = "connection.unblocked";
    static constexpr std::tuple<> fields{};
};

struct UpdateSecret {
    static constexpr MethodId id{10, 70};
    static constexpr std::string_view name = "connection.update-secret";
    std::string_view new_secret{}, reason{};
    static constexpr auto fields =
        std::tuple{Secret{"new-secret", &UpdateSecret::new_secret}, Field{"reason", &UpdateSecret::reason}};
};

struct UpdateSecretOk {
    static constexpr MethodId id{10, 71};
    static constexpr std::string_view name = "connection.update-secret-ok";
    static constexpr std::tuple<> fields{};
};

}  // namespace trilby::protocol::connection
