// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "auth/loopback.hpp"
#include "auth/sasl.hpp"
#include "broker/session.hpp"

// Channel 0: from the protocol header to connection.open-ok, and the methods of class connection afterwards.
// AMQP 0-9-1: 2.2.4, 4.2.2, connection.*.

namespace trilby::broker {

namespace connection = protocol::connection;

namespace {

std::string server_properties(const Settings& settings) {
    protocol::TableBuilder capabilities;
    for (const char* capability : {"publisher_confirms", "exchange_exchange_bindings", "basic.nack",
                                   "consumer_cancel_notify", "connection.blocked", "consumer_priorities",
                                   "authentication_failure_close", "per_consumer_qos", "direct_reply_to"})
        capabilities.boolean(capability, true);
    const std::string raw = capabilities.take();
    // Clients switch features by product and version (kombu's qos, for one), so these two are RabbitMQ's.
    protocol::TableBuilder properties;
    properties.table("capabilities", protocol::TableView(raw))
        .string("cluster_name", settings.cluster_name)
        .string("copyright", "The Trilby authors. Licensed under the Apache License 2.0.")
        .string("information", "Trilby, an embeddable AMQP 0-9-1 broker that speaks as RabbitMQ does")
        .string("platform", "Trilby " TRILBY_VERSION)
        .string("product", "RabbitMQ")
        .string("version", settings.server_version);
    return properties.take();
}

}  // namespace

bool Session::header_received(std::string_view header) {
    using namespace std::string_view_literals;
    if (header == protocol::protocol_header() || header == "AMQP\1\1\0\x9"sv) {
        const std::string properties = server_properties(shard_.settings());
        send(0, connection::Start{.version_major = 0,
                                  .version_minor = 9,
                                  .server_properties = protocol::TableView(properties),
                                  .mechanisms = "PLAIN AMQPLAIN",
                                  .locales = "en_US"});
        stage_ = Stage::start_ok;
        return true;
    }
    output_.append(protocol::protocol_header());
    finish();
    return false;
}

void Session::handle_connection_method(const protocol::Method& method, protocol::MethodId id) {
    const auto unexpected = [&](std::string_view state) {
        close_connection(protocol::ConnectionReply::channel_error,
                         fmt::format("unexpected method in connection state {}", state), id);
    };
    switch (stage_) {
        case Stage::start_ok:
            if (const auto* one = std::get_if<connection::StartOk>(&method)) return start_ok(*one);
            return drop_after_delay();
        case Stage::tune_ok:
            if (const auto* one = std::get_if<connection::TuneOk>(&method)) return tune_ok(*one);
            return drop_after_delay();
        case Stage::open:
            if (const auto* one = std::get_if<connection::Open>(&method)) return open(*one);
            return unexpected("opening");
        default: break;
    }
    if (const auto* close = std::get_if<connection::Close>(&method)) {
        if (close->reply_code >= 300)
            spdlog::info("connection {} closed by the client: {} {}", name(), close->reply_code,
                         close->reply_text);
        stage_ = Stage::closed;  // what follows is ignored, but a second close is answered
        deadline_ = shard_.now() + close_timeout();
        end([this] {
            send(0, connection::CloseOk{});
            finish();
        });
    } else if (std::holds_alternative<connection::UpdateSecret>(method)) {
        send(0, connection::UpdateSecretOk{});  // the catalog's users have no secrets that expire
    } else {
        unexpected("running");
    }
}

void Session::start_ok(const connection::StartOk& method) {
    const protocol::TableView properties = method.client_properties;
    if (const auto name = properties.find("connection_name"))
        connection_name_ = std::string(name->as_string().value_or(""));
    if (const auto value = properties.find("capabilities"))
        if (const auto capabilities = value->as_table()) {
            const auto has = [&](std::string_view capability) {
                const auto found = capabilities->find(capability);
                return found && found->as_boolean().value_or(false);
            };
            peer_takes_failure_ = has("authentication_failure_close");
            peer_takes_cancels_ = has("consumer_cancel_notify");
            peer_takes_blocked_ = has("connection.blocked");
        }

    std::optional<auth::Credentials> credentials;
    if (method.mechanism == "PLAIN") credentials = auth::parse_plain(method.response);
    if (method.mechanism == "AMQPLAIN") credentials = auth::parse_amqplain(method.response);
    if (!credentials) return drop_after_delay();

    user_ = credentials->user;
    const auto& loopback_users = shard_.settings().loopback_users;
    if (!shard_.view().access().login(user_, credentials->password))
        return refuse_login(method.mechanism, "invalid credentials");
    if (std::find(loopback_users.begin(), loopback_users.end(), user_) != loopback_users.end() &&
        !auth::is_loopback(peer_.address))
        return refuse_login(method.mechanism, "can only connect via localhost");

    const Settings& settings = shard_.settings();
    send(0, connection::Tune{.channel_max = settings.channel_max,
                             .frame_max = settings.frame_max,
                             .heartbeat = settings.heartbeat});
    stage_ = Stage::tune_ok;
}

void Session::refuse_login(std::string_view mechanism, std::string_view reason) {
    spdlog::warn("connection {}: {} login refused: user '{}' - {}", name(), mechanism, user_, reason);
    drop_after_delay();
    if (!peer_takes_failure_) return;
    send(0, connection::Close{
                .reply_code = static_cast<std::uint16_t>(protocol::ConnectionReply::access_refused),
                .reply_text =
                    protocol::reply_text(protocol::ConnectionReply::access_refused,
                                         fmt::format("Login was refused using authentication mechanism {}. "
                                                     "For details see the broker logfile.",
                                                     mechanism))});
    stage_ = Stage::refused;
}

void Session::tune_ok(const connection::TuneOk& method) {
    const Settings& settings = shard_.settings();
    const auto refuse = [&](std::string_view what, auto value, std::string_view relation, auto limit) {
        close_connection(
            protocol::ConnectionReply::not_allowed,
            fmt::format("negotiated {} = {} is {} allowed value ({})", what, value, relation, limit), {},
            Stage::dropping);
    };
    if (method.frame_max != 0 && method.frame_max < protocol::frame_min_size)
        return refuse("frame_max", method.frame_max, "lower than the minimum", protocol::frame_min_size);
    // 0 asks for no limit, and there is one.
    if (method.frame_max == 0 || method.frame_max > settings.frame_max)
        return refuse("frame_max", method.frame_max, "higher than the maximum", settings.frame_max);
    if (method.channel_max == 0 || method.channel_max > settings.channel_max)
        return refuse("channel_max", method.channel_max, "higher than the maximum", settings.channel_max);
    frame_max_ = method.frame_max;
    channel_max_ = method.channel_max;
    heartbeat_ = method.heartbeat;
    next_heartbeat_ = shard_.now() + std::chrono::milliseconds{heartbeat_ * 500};
    next_check_ = shard_.now() + std::chrono::seconds{heartbeat_};
    next_timeout_check_ = shard_.now() + timeout_check_interval();
    stage_ = Stage::open;
}

void Session::open(const connection::Open& method) {
    const auto refuse = [&](std::string text) {
        close_connection(protocol::ConnectionReply::not_allowed, text, connection::Open::id);
    };
    const Vhost* vhost = shard_.view().vhost(method.virtual_host);
    if (vhost == nullptr) return refuse(fmt::format("vhost {} not found", method.virtual_host));
    if (!shard_.view().access().may_open(user_, method.virtual_host))
        return refuse(fmt::format("access to vhost '{}' refused for user '{}'", method.virtual_host, user_));
    vhost_ = &shard_.view().vhost(vhost->index);
    stage_ = Stage::running;
    send(0, connection::OpenOk{});
    spdlog::debug("connection {} opened: user '{}', vhost '{}'", name(), user_, vhost_->name);
}

}  // namespace trilby::broker
