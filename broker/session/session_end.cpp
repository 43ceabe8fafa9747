// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "broker/session/channel.hpp"
#include "broker/session/session.hpp"
#include "protocol/quoted.hpp"

// From the first reason to end to the last octet: AMQP 0-9-1, 2.2.4 and 4.10. broker/session/session_life.hpp
// has the stages.

namespace trilby::broker {

namespace connection = protocol::connection;

void Session::raise(Channel* channel, const protocol::Exception& exception, protocol::MethodId cause) {
    if (const auto* soft = std::get_if<protocol::ChannelException>(&exception)) {
        if (channel != nullptr) {
            channel->close(soft->code, soft->text, cause);
        } else {
            // A soft error on channel 0 closes the connection with the same code.
            close_connection(static_cast<protocol::ConnectionReply>(soft->code), soft->text, cause);
        }
        return;
    }
    const auto& hard = std::get<protocol::ConnectionException>(exception);
    close_connection(hard.code, hard.text, cause);
}

void Session::close_connection(protocol::ConnectionReply code, std::string_view text,
                               protocol::MethodId cause, Stage next) {
    if (!enter(Stage::ending)) return;
    const std::string said = protocol::reply_text(code, text);
    const auto number = static_cast<std::uint16_t>(code);
    say_end(log::Level::warning, fmt::format("{} {}", number, protocol::printable(said)), number, said);
    last_word_ = Close{code, std::string(text), cause, next};
    go_on_ending();
}

void Session::close_by_client(const connection::Close& method) {
    if (!enter(Stage::ending)) return;
    say_end(
        log::Level::info,
        fmt::format("the client closed it: {} {}", method.reply_code, protocol::quoted(method.reply_text)),
        method.reply_code, method.reply_text);
    last_word_ = CloseOk{};
    go_on_ending();
}

void Session::frame_error(const std::string& text) {
    // Nothing after it can be trusted to be a frame.
    close_connection(protocol::ConnectionReply::frame_error, text, {}, Stage::silent);
}

void Session::on_peer_gone() {
    // Who says nothing only wanted to know whether somebody listens.
    say_end(life_.in_handshake() && !received_ ? log::Level::debug : log::Level::warning,
            "the client went away without a close");
    log_dropped_replies();
    output_.clear();
    end_without_a_word();
}

void Session::end_without_a_word() {
    last_word_ = {};
    enter(Stage::ending);
    if (life_.stage() == Stage::ending || life_.stage() == Stage::giving_up) {
        // A commit is answered when the disk has room, and they may be what fills it.
        if (waiting()) give_up_queues();
        go_on_ending();
    } else if (enter(Stage::dropped)) {
        touch();
    }
}

void Session::on_peer_finished() {
    // What it said last would be heard when the alarm ends, and what it holds may be what the alarm is about.
    if (life_.running() && shard_.alarm().raised()) on_peer_gone();
}

void Session::stop(bool journal_failed) {
    switch (life_.stage()) {
        case Stage::open:
        case Stage::running:
            if (journal_failed) {
                close_connection(protocol::ConnectionReply::internal_error,
                                 "the journal has failed, no message can be stored");
            } else {
                close_connection(protocol::ConnectionReply::connection_forced,
                                 "broker forced connection closure with reason 'shutdown'");
            }
            return;
        case Stage::ending:
        case Stage::giving_up: return;  // its last word is still to be said
        case Stage::leaving:
            life_.hurry(shard_.now() + close_timeout());
            touch();
            return;
        default: leave();
    }
}

void Session::drop() {
    say_end(log::Level::warning, "it was dropped");
    // Queues may know consumers here by their place in memory.
    if (life_.stage() <= Stage::giving_up)
        while (!give_up()) {
        }
    output_.clear();
    if (enter(Stage::dropped)) touch();
}

void Session::fail(const char* what) noexcept {
    parsing_ = false;
    if (questions_.empty()) {  // no answer comes that anything could wait for
        after_answers_.clear();
        gates_ = static_cast<std::uint8_t>(gates_ & ~Gate::question);
    }
    try {
        tail_.clear();
        if (life_.stage() <= Stage::running) {
            spdlog::error("connection {} cannot be served: {}", name(), protocol::printable(what));
            // What of its octets was carried out is not known.
            close_connection(protocol::ConnectionReply::internal_error, "", {}, Stage::silent);
        } else {
            end_without_a_word();
        }
    } catch (const std::exception&) {  // on_tick tries again
        last_word_ = {};
        life_.enter(Stage::ending);
        try {
            touch();
        } catch (const std::exception&) {  // its next timer will do
        }
    }
}

void Session::go_on_ending() {
    if (!questions_.empty() || !after_answers_.empty()) return;
    if (life_.stage() == Stage::ending) enter(Stage::giving_up);
    if (life_.stage() != Stage::giving_up) return;
    const bool all = give_up();
    if (questions_.empty()) all ? say_last_word() : go_on_later([] {});
}

bool Session::give_up() {
    finish_turn();
    for (const auto& [number, channel] : channels_)
        if (!channel->given_up() && !channel->give_up()) return false;
    give_up_queues();
    return exclusive_queues_.empty();
}

void Session::give_up_queues() {
    gives_up_queues_ = true;
    while (!exclusive_queues_.empty()) {
        ask(
            nullptr, {}, [](const Answer&) { return protocol::Outcome<>{}; },
            [&](ReplyTo to) { shard_.end_queue(exclusive_queues_.back(), to); });
        exclusive_queues_.pop_back();
        shard_.turn().spend(Turn::queue_end);
        if (shard_.turn().is_over()) return;
    }
    gives_up_queues_ = false;
}

void Session::say_last_word() {
    if (const auto* close = std::get_if<Close>(&last_word_)) {
        send(0, connection::Close{.reply_code = static_cast<std::uint16_t>(close->code),
                                  .reply_text = protocol::reply_text(close->code, close->text),
                                  .class_id = close->cause.class_id,
                                  .method_id = close->cause.method_id});
        enter(close->next, shard_.now() + (close->next == Stage::silent ? shard_.settings().failed_login_delay
                                                                        : close_timeout()));
        read_on();
    } else if (std::holds_alternative<CloseOk>(last_word_)) {
        send(0, connection::CloseOk{});
        leave();
    } else {
        output_.clear();
        enter(Stage::dropped);
    }
    touch();
}

void Session::leave() {
    enter(Stage::leaving, shard_.now() + close_timeout());
    touch();
}

void Session::fall_silent() {
    say_end(log::Level::warning, fmt::format("what came was not {}", awaited()));
    enter(Stage::silent, shard_.now() + shard_.settings().failed_login_delay);
    touch();
}

void Session::deadline_passed(bool taken) {
    if (life_.in_handshake())
        say_end(log::Level::warning, fmt::format("timed out, {} was awaited", awaited()));
    switch (life_.stage()) {
        case Stage::refused:
        case Stage::closing:
        case Stage::silent:
            if (taken) return leave();
            [[fallthrough]];
        default: drop();
    }
}

std::chrono::milliseconds Session::close_timeout() const {
    using std::chrono::seconds;
    if (shard_.stopping()) return seconds{1};
    return heartbeat_ == 0 ? seconds{30} : std::min(seconds{heartbeat_}, seconds{30});
}

}  // namespace trilby::broker
