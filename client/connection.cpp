// SPDX-License-Identifier: Apache-2.0
#include "client/connection.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "client/channel.hpp"
#include "protocol/field_table.hpp"

namespace trilby::client {

using protocol::FrameType;

namespace {

constexpr std::uint32_t largest_frame = 131'072;
constexpr std::uint16_t most_channels = 2047;

template <class T>
T smaller_nonzero(T mine, T theirs) {
    return theirs == 0 ? mine : mine == 0 ? theirs : std::min(mine, theirs);
}

std::string client_properties(const std::string& name) {
    // authentication_failure_close: otherwise a refused login is only a dropped socket.
    const std::string capabilities = protocol::TableBuilder()
                                         .boolean("authentication_failure_close", true)
                                         .boolean("basic.nack", true)
                                         .boolean("publisher_confirms", true)
                                         .boolean("consumer_cancel_notify", true)
                                         .boolean("connection.blocked", true)
                                         .take();
    return protocol::TableBuilder()
        .string("product", "Trilby client")
        .string("connection_name", name)
        .table("capabilities", protocol::TableView(capabilities))
        .take();
}

}  // namespace

Connection::Connection(Socket socket, ConnectionOptions options)
    : socket_(std::move(socket)),
      options_(std::move(options)),
      last_sent_(Clock::now()),
      last_received_(last_sent_) {}

Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::open(const Url& url, const ConnectionOptions& options) {
    auto socket = Socket::connect(url.host, url.port, Clock::now() + options.patience);
    if (!socket)
        return failure(fmt::format("No broker answers at {}: {}", url.address(), socket.error().text));
    std::unique_ptr<Connection> connection(new Connection(std::move(*socket), options));
    if (auto done = connection->handshake(url); !done) return std::unexpected(done.error());
    return connection;
}

template <class Reply>
Result<Reply> Connection::expect(Deadline deadline) {
    reply_.reset();
    for (;;) {
        const auto waited = pump(deadline, false);
        if (!waited) return std::unexpected(waited.error());
        if (reply_) {
            if (const auto* reply = std::get_if<Reply>(reply_.get())) return *reply;
            return failure(
                fmt::format("the broker sent {} where {} was due", protocol::to_text(*reply_), Reply::name));
        }
        if (Clock::now() >= deadline)
            return failure(fmt::format("the broker did not send {} in time", Reply::name));
    }
}

Result<> Connection::handshake(const Url& url) {
    namespace method = protocol::connection;
    const Deadline deadline = Clock::now() + options_.patience;
    output_ += protocol::protocol_header();
    const auto start = expect<method::Start>(deadline);
    if (!start) return std::unexpected(start.error());

    const std::string properties = client_properties(options_.name);
    std::string login;
    login.append(1, '\0').append(url.user).append(1, '\0').append(url.password);
    protocol::append_method(output_, 0,
                            method::StartOk{.client_properties = protocol::TableView(properties),
                                            .mechanism = "PLAIN",
                                            .response = login,
                                            .locale = "en_US"});
    const auto tune = expect<method::Tune>(deadline);
    if (!tune) return std::unexpected(tune.error());

    frame_max_ = smaller_nonzero(largest_frame, tune->frame_max);
    channel_max_ = smaller_nonzero(most_channels, tune->channel_max);
    const auto mine = static_cast<std::uint16_t>(options_.heartbeat.count());
    heartbeat_ = std::chrono::seconds(mine == 0 ? mine : smaller_nonzero(mine, tune->heartbeat));
    protocol::append_method(output_, 0,
                            method::TuneOk{.channel_max = channel_max_,
                                           .frame_max = frame_max_,
                                           .heartbeat = static_cast<std::uint16_t>(heartbeat_.count())});
    protocol::append_method(output_, 0, method::Open{.virtual_host = url.virtual_host});
    if (const auto opened = expect<method::OpenOk>(deadline); !opened) return std::unexpected(opened.error());
    return {};
}

Result<Channel*> Connection::open_channel() {
    const auto number = static_cast<std::uint16_t>(channels_.size() + 1);
    if (number > channel_max_) return failure(fmt::format("the broker allows {} channels", channel_max_));
    Channel* channel = (channels_[number] = std::make_unique<Channel>(*this, number)).get();
    if (auto opened = channel->open(); !opened) return std::unexpected(opened.error());
    return channel;
}

Result<> Connection::close() {
    protocol::append_method(output_, 0,
                            protocol::connection::Close{.reply_code = 200, .reply_text = "Goodbye"});
    const auto closed = expect<protocol::connection::CloseOk>(Clock::now() + options_.patience);
    if (!closed) return std::unexpected(closed.error());
    return {};
}

Connection::Bare Connection::release() && {
    return {std::move(socket_), input_.substr(input_at_), frame_max_};
}

Result<Connection::Flushed> Connection::flush(bool interruptible) {
    auto flushed = Flushed::alone;
    std::size_t sent = 0;
    while (sent < output_.size()) {
        const auto some = socket_.send_some(std::string_view(output_).substr(sent));
        if (!some) return std::unexpected(some.error());
        sent += *some;
        if (*some > 0) {
            last_sent_ = Clock::now();
            continue;
        }
        // A broker that does not take our bytes may be waiting for us to take its own, or may have said why.
        const auto ready =
            socket_.wait(Clock::now() + std::chrono::seconds(1), true, interruptible ? interrupt_ : -1);
        if (ready.interrupted) {
            output_.erase(0, sent);
            return std::unexpected(interruption());
        }
        if (ready.readable) {
            const auto got = socket_.receive_some(input_);
            if (!got) return std::unexpected(got.error());
            if (*got > 0) last_received_ = Clock::now();
            for (;;) {
                const auto handled = handle_frame();
                if (!handled) return std::unexpected(handled.error());
                if (!*handled) break;
                flushed = Flushed::and_handled_frames;
            }
        } else if (!ready.writable && blocked_) {
            if (silent_for_too_long()) return silence();
        } else if (!ready.writable &&
                   Clock::now() > last_sent_ + std::max(options_.patience, 2 * heartbeat_)) {
            return failure("the broker takes no more bytes");
        }
    }
    output_.clear();
    return flushed;
}

bool Connection::silent_for_too_long() const {
    return heartbeat_.count() != 0 && Clock::now() > last_received_ + 2 * heartbeat_;
}

std::unexpected<Error> Connection::silence() const {
    return failure(fmt::format("nothing came from the broker for {} seconds", 2 * heartbeat_.count()));
}

Result<> Connection::tick() {
    if (heartbeat_.count() == 0) return {};
    if (silent_for_too_long()) return silence();
    if (Clock::now() < last_sent_ + heartbeat_ / 2) return {};
    protocol::append_heartbeat(output_);
    if (auto flushed = flush(false); !flushed) return std::unexpected(flushed.error());
    return {};
}

Result<bool> Connection::handle_frame() {
    const std::string_view unread = std::string_view(input_).substr(input_at_);
    if (unread.size() < protocol::frame_overhead) return false;
    const auto head = protocol::read_frame_head(unread.data());
    if (head.size > frame_max_) return failure("the broker sent a frame larger than was agreed");
    const std::size_t whole = head.size + protocol::frame_overhead;
    if (unread.size() < whole) return false;
    if (unread[whole - 1] != protocol::frame_end) return failure("the broker sent a frame without its end");
    input_at_ += whole;
    if (auto done = dispatch(head, unread.substr(7, head.size)); !done) return std::unexpected(done.error());
    return true;
}

Result<Connection::Wait> Connection::pump(Deadline deadline, bool interruptible) {
    const auto flushed = flush(interruptible);
    if (!flushed && flushed.error().interrupted) return Wait::interrupted;
    if (!flushed) return std::unexpected(flushed.error());
    if (*flushed == Flushed::and_handled_frames) return Wait::frame;
    for (;;) {
        const auto handled = handle_frame();
        if (!handled) return std::unexpected(handled.error());
        if (*handled) return Wait::frame;
        input_.erase(0, input_at_);
        input_at_ = 0;

        Deadline until = deadline;
        if (heartbeat_.count() != 0) until = std::min(until, Clock::now() + heartbeat_ / 2);
        const auto ready = socket_.wait(until, false, interruptible ? interrupt_ : -1);
        if (ready.readable) {
            const auto got = socket_.receive_some(input_);
            if (!got) return std::unexpected(got.error());
            if (*got > 0) last_received_ = Clock::now();
            continue;
        }
        if (ready.interrupted) return Wait::interrupted;
        if (auto ticked = tick(); !ticked) return std::unexpected(ticked.error());
        if (Clock::now() >= deadline) return Wait::deadline;
    }
}

Result<> Connection::dispatch(const protocol::FrameHead& head, std::string_view payload) {
    const auto type = static_cast<FrameType>(head.type);
    if (type == FrameType::heartbeat) return {};
    const auto found = channels_.find(head.channel);
    if (head.channel != 0 && found == channels_.end())
        return failure(fmt::format("the broker spoke on channel {}, which is not open", head.channel));
    if (type == FrameType::method) {
        const auto method = protocol::decode_method(payload);
        if (!method) return failure("the broker sent a method that is not AMQP 0-9-1");
        if (head.channel == 0) return connection_method(*method);
        found->second->on_method(*method);
        return {};
    }
    if (head.channel == 0) return failure("the broker sent content on channel 0");
    if (type == FrameType::header)
        found->second->on_content_header(payload);
    else if (type == FrameType::body)
        found->second->on_body(payload);
    return {};
}

void Connection::set_blocked(std::optional<std::string> reason) {
    if (reason == blocked_) return;
    blocked_ = std::move(reason);
    if (on_blocked_) on_blocked_();
}

Result<> Connection::connection_method(const protocol::Method& method) {
    if (const auto* close = std::get_if<protocol::connection::Close>(&method)) {
        const Error why{close->reply_code, std::string(close->reply_text)};
        protocol::append_method(output_, 0, protocol::connection::CloseOk{});
        (void)flush(false);  // the peer may be gone already, and `why` says more than that
        return std::unexpected(why);
    }
    if (const auto* blocked = std::get_if<protocol::connection::Blocked>(&method)) {
        set_blocked(std::string(blocked->reason));
        return {};
    }
    if (std::holds_alternative<protocol::connection::Unblocked>(method)) {
        set_blocked(std::nullopt);
        return {};
    }
    reply_ = std::make_unique<protocol::Method>(method);
    return {};
}

}  // namespace trilby::client
