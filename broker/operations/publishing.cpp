// SPDX-License-Identifier: Apache-2.0
#include "broker/operations/publishing.hpp"

#include <fmt/format.h>

#include "broker/asking/direct_reply.hpp"
#include "broker/message/property_checks.hpp"
#include "protocol/erlang_text.hpp"

namespace trilby::broker {

using protocol::ChannelReply;
using protocol::ConnectionReply;

namespace {

protocol::Outcome<> add_keys(std::vector<std::string_view>& keys, std::string_view header,
                             const protocol::ValueView& value) {
    const auto list = value.as_array();
    if (!list)
        return refuse(ChannelReply::precondition_failed,
                      fmt::format("invalid message: {{unacceptable_type_in_header,\"{}\",{}}}", header,
                                  protocol::type_word(value.type)));
    for (const protocol::ValueView& key : *list)
        if (key.type == 'S' && key.bytes.size() <= 255) keys.push_back(key.bytes);
    return {};
}

protocol::Outcome<> check_user_id(const Caller& caller, std::string_view user_id) {
    if (user_id == caller.user()) return {};
    const auth::User* user = caller.view().access().find_user(caller.user());
    if (user != nullptr && user->has_tag("impersonator")) return {};
    return refuse(
        ChannelReply::precondition_failed,
        fmt::format("user_id property set to '{}' but authenticated user was '{}'", user_id, caller.user()));
}

}  // namespace

protocol::Outcome<PublishTarget> publish_target(const Caller& caller, std::string_view name) {
    if (auto allowed = caller.may_on_exchange(auth::Operation::write, name); !allowed)
        return std::unexpected(allowed.error());
    if (name.empty()) return PublishTarget{.by_default = true};
    const auto index = caller.vhost().routes.find_exchange(name);
    if (!index) return caller.not_found("exchange", name);
    const ExchangeInfo& exchange = caller.vhost().exchanges[*index];
    if (exchange.internal)
        return refuse(
            ChannelReply::access_refused,
            fmt::format("cannot publish to internal exchange '{}' in vhost '{}'", name, caller.vhost().name));
    return PublishTarget{.exchange = *index, .topic = exchange.type == routing::ExchangeType::topic};
}

Refused undecodable_properties(std::string_view raw) {
    return refuse(ConnectionReply::frame_error,
                  fmt::format("cannot decode {}", protocol::erlang_octets(raw.substr(0, 64))));
}

protocol::Outcome<CheckedProperties> check_properties(const Caller& caller, const PublishTarget& target,
                                                      const protocol::Properties& properties,
                                                      bool takes_replies) {
    CheckedProperties checked;
    checked.wants_direct_reply = properties.reply_to == direct_reply_name;
    if (checked.wants_direct_reply && !takes_replies)
        return refuse(ChannelReply::precondition_failed, "fast reply consumer does not exist");
    if (properties.user_id)
        if (auto same = check_user_id(caller, *properties.user_id); !same)
            return std::unexpected(same.error());
    if (properties.expiration)
        if (auto text = invalid_expiration(*properties.expiration))
            return refuse(ChannelReply::precondition_failed, *std::move(text));
    checked.headers = properties.headers.value_or(protocol::TableView{});
    const auto [cc, bcc] = checked.headers.find("CC", "BCC");
    checked.has_blind_copies = bcc.has_value();
    if (cc)
        if (auto added = add_keys(checked.more_keys, "CC", *cc); !added)
            return std::unexpected(added.error());
    if (bcc)
        if (auto added = add_keys(checked.more_keys, "BCC", *bcc); !added)
            return std::unexpected(added.error());
    for (const std::string_view key : checked.more_keys)
        if (auto allowed = may_publish_by_key(caller, target, key); !allowed)
            return std::unexpected(allowed.error());
    return checked;
}

}  // namespace trilby::broker
