// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "auth/loopback.hpp"
#include "auth/sasl.hpp"
#include "broker/session/session.hpp"
#include "protocol/quoted.hpp"

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
        .string("information", "Trilby, a small AMQP 0-9-1 broker that speaks as RabbitMQ does")
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
        return enter(Stage::start_ok);
    }
    say_end(log::Level::warning, fmt::format("wrong protocol header {}", protocol::quoted(header)));
    output_.append(protocol::protocol_header());
    leave();
    return false;
}

void Session::handle_connection_method(const protocol::Method& method, protocol::MethodId id) {
    const auto unexpected = [&](std::string_view state) {
        close_connection(protocol::ConnectionReply::channel_error,
                         fmt::format("unexpected method in connection state {}", state), id);
    };
    const auto unawaited = [&] {
        say_end(log::Level::warning,
                fmt::format("{} came, {} was awaited", protocol::method_name(id), awaited()));
        fall_silent();
    };
    switch (life_.stage()) {
        case Stage::start_ok:
            if (const auto* one = std::get_if<connection::StartOk>(&method)) return start_ok(*one);
            return unawaited();
        case Stage::tune_ok:
            if (const auto* one = std::get_if<connection::TuneOk>(&method)) return tune_ok(*one);
            return unawaited();
        case Stage::open:
            if (const auto* one = std::get_if<connection::Open>(&method)) return open(*one);
            return unexpected("opening");
        default: break;
    }
    if (const auto* close = std::get_if<connection::Close>(&method)) {
        close_by_client(*close);
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
    if (!credentials) {
        say_end(log::Level::warning,
                fmt::format("no credentials by mechanism {}", protocol::quoted(method.mechanism)));
        return fall_silent();
    }

    identity_.user = credentials->user;
    const Shard::Time now = shard_.now();
    const auto at = shard_.logins().admit(peer_.address, throttled_user(), now);
    if (!at) return refuse_login(method.mechanism, "too many attempts");
    const Login attempt{std::string(method.mechanism), *std::move(credentials), *at};
    if (*at <= now) return log_in(attempt);
    waiting_login_ = attempt;
    set_gate(Gate::login, true);
}

std::string_view Session::throttled_user() const {
    return shard_.view().access().find_user(identity_.user) == nullptr ? std::string_view{} : identity_.user;
}

void Session::log_in_when_due() {
    if (!waiting_login_ || shard_.now() < waiting_login_->at || life_.stage() != Stage::start_ok) return;
    const Login attempt = *std::exchange(waiting_login_, std::nullopt);
    log_in(attempt);
    set_gate(Gate::login, false);
}

void Session::log_in(const Login& attempt) {
    const auto& loopback_users = shard_.live_settings().loopback_users;
    if (!shard_.view().access().login(identity_.user, attempt.credentials.password))
        return refuse_login(attempt.mechanism, "invalid credentials");
    if (std::find(loopback_users.begin(), loopback_users.end(), identity_.user) != loopback_users.end() &&
        !auth::is_loopback(peer_.address))
        return refuse_login(attempt.mechanism, "can only connect via localhost");

    const Settings& settings = shard_.settings();
    send(0, connection::Tune{.channel_max = settings.channel_max,
                             .frame_max = settings.frame_max,
                             .heartbeat = static_cast<std::uint16_t>(settings.heartbeat.count())});
    enter(Stage::tune_ok);
}

void Session::refuse_login(std::string_view mechanism, std::string_view reason) {
    const unsigned refused = shard_.logins().failed(peer_.address, throttled_user(), shard_.now());
    if (refused != 0)
        log::write(
            log::Level::warning, about(log::Event::login_refused),
            fmt::format("connection {}: {} login refused: user {} - {}{}", name(),
                        protocol::printable(mechanism), protocol::quoted(identity_.user), reason,
                        refused == 1 ? std::string() : fmt::format(", as {} more before it", refused - 1)));
    end_said_ = true;
    if (!peer_takes_failure_) return fall_silent();
    send(0, connection::Close{
                .reply_code = static_cast<std::uint16_t>(protocol::ConnectionReply::access_refused),
                .reply_text =
                    protocol::reply_text(protocol::ConnectionReply::access_refused,
                                         fmt::format("Login was refused using authentication mechanism {}. "
                                                     "For details see the broker logfile.",
                                                     mechanism))});
    enter(Stage::refused, shard_.now() + shard_.settings().failed_login_delay);
}

void Session::tune_ok(const connection::TuneOk& method) {
    const Settings& settings = shard_.settings();
    const auto refuse = [&](std::string_view what, auto value, std::string_view relation, auto limit) {
        close_connection(
            protocol::ConnectionReply::not_allowed,
            fmt::format("negotiated {} = {} is {} allowed value ({})", what, value, relation, limit), {},
            Stage::silent);
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
    enter(Stage::open);
}

void Session::open(const connection::Open& method) {
    const auto refuse = [&](const std::string& text) {
        close_connection(protocol::ConnectionReply::not_allowed, text, connection::Open::id);
    };
    const Vhost* vhost = shard_.view().vhost(method.virtual_host);
    if (vhost == nullptr) return refuse(fmt::format("vhost {} not found", method.virtual_host));
    if (!shard_.view().access().may_open(identity_.user, method.virtual_host))
        return refuse(
            fmt::format("access to vhost '{}' refused for user '{}'", method.virtual_host, identity_.user));
    vhost_ = &shard_.view().vhost(vhost->index);
    enter(Stage::running);
    send(0, connection::OpenOk{});
    say_opened();
}

}  // namespace trilby::broker
