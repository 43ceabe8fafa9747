// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "protocol/methods/field.hpp"

// Class 20.

namespace trilby::protocol::channel {

struct Open {
    static constexpr MethodId id{20, 10};
    static constexpr std::string_view name = "channel.open";
    std::string_view reserved_1{};
    static constexpr auto fields = std::tuple{Field{"reserved-1", &Open::reserved_1}};
};

struct OpenOk {
    static constexpr MethodId id{20, 11};
    static constexpr std::string_view name = "channel.open-ok";
    std::string_view reserved_1{};
    static constexpr auto fields = std::tuple{LongString{"reserved-1", &OpenOk::reserved_1}};
};

struct Flow {
    static constexpr MethodId id{20, 20};
    static constexpr std::string_view name = "channel.flow";
    bool active = false;
    static constexpr auto fields = std::tuple{Field{"active", &Flow::active}};
};

struct FlowOk {
    static constexpr MethodId id{20, 21};
    static constexpr std::string_view name = "channel.flow-ok";
    bool active = false;
    static constexpr auto fields = std::tuple{Field{"active", &FlowOk::active}};
};

struct Close {
    static constexpr MethodId id{20, 40};
    static constexpr std::string_view name = "channel.close";
    std::uint16_t reply_code = 0;
    std::string_view reply_text{};
    std::uint16_t class_id = 0, method_id = 0;
    static constexpr auto fields =
        std::tuple{Field{"reply-code", &Close::reply_code}, Field{"reply-text", &Close::reply_text},
                   Field{"class-id", &Close::class_id}, Field{"method-id", &Close::method_id}};
};

struct CloseOk {
    static constexpr MethodId id{20, 41};
    static constexpr std::string_view name = "channel.close-ok";
    static constexpr std::tuple<> fields{};
};

}  // namespace trilby::protocol::channel
