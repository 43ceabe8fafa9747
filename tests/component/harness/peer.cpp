// SPDX-License-Identifier: Apache-2.0
#include "tests/component/harness/peer.hpp"

#include "protocol/frame.hpp"
#include "tests/component/harness/violation.hpp"

namespace trilby::harness {

namespace p = protocol;

Peer::Peer(std::uint32_t frame_max) : frame_max_(frame_max) {
    using namespace std::string_view_literals;
    outbox = p::protocol_header();
    p::TableBuilder capabilities;
    capabilities.boolean("consumer_cancel_notify", true).boolean("connection.blocked", true);
    const std::string raw = capabilities.take();
    p::TableBuilder properties;
    properties.table("capabilities", p::TableView(raw));
    const std::string table = properties.take();
    send(0, p::connection::StartOk{.client_properties = p::TableView(table),
                                   .mechanism = "PLAIN",
                                   .response = "\0guest\0guest"sv,
                                   .locale = "en_US"});
    send(0, p::connection::TuneOk{.channel_max = 100, .frame_max = frame_max, .heartbeat = 0});
    send(0, p::connection::Open{.virtual_host = "/"});
}

void Peer::told(std::uint16_t channel, const p::Method& method) const {
    fmt::print("{} {} > {}\n", fmt::ptr(this), channel, p::to_text(method));
}

void Peer::send_publish(std::uint16_t channel, const p::basic::Publish& method,
                        const p::Properties& properties, std::string_view body) {
    send(channel, method);
    p::append_content(outbox, channel, body.size(), p::encode_properties(properties), body, frame_max_);
}

void Peer::receive(std::string_view octets) {
    inbox_ += octets;
    std::size_t at = 0;
    while (inbox_.size() - at >= p::frame_head_size) {
        const p::FrameHead head = p::read_frame_head(inbox_.data() + at);
        require(head.size + p::frame_overhead <= frame_max_, "a frame of {} octets", head.size);
        if (inbox_.size() - at < head.size + p::frame_overhead) break;
        require(inbox_[at + p::frame_head_size + head.size] == p::frame_end, "a frame without its end");
        frame(head.type, head.channel, std::string_view(inbox_).substr(at + p::frame_head_size, head.size));
        at += head.size + p::frame_overhead;
    }
    inbox_.erase(0, at);
}

void Peer::frame(std::uint8_t type, std::uint16_t channel, std::string_view payload) {
    const auto open = contents_.find(channel);
    switch (static_cast<p::FrameType>(type)) {
        case p::FrameType::method: {
            require(open == contents_.end(), "a method inside of a content");
            const auto method = p::decode_method(payload);
            require(method.has_value(), "a method that cannot be read");
            if (trace) fmt::print("{} {} < {}\n", fmt::ptr(this), channel, p::to_text(*method));
            opened = opened || std::holds_alternative<p::connection::OpenOk>(*method);
            if (std::holds_alternative<p::connection::Start>(*method) ||
                std::holds_alternative<p::connection::Tune>(*method) ||
                std::holds_alternative<p::connection::OpenOk>(*method))
                return;
            if (std::holds_alternative<p::basic::Deliver>(*method) ||
                std::holds_alternative<p::basic::GetOk>(*method) ||
                std::holds_alternative<p::basic::Return>(*method)) {
                contents_[channel] = {
                    .method = std::string(payload), .left = UINT64_MAX, .properties = {}, .body = {}};
                return;
            }
            on_method(channel, *method);
            return;
        }
        case p::FrameType::header: {
            require(open != contents_.end() && open->second.left == UINT64_MAX, "a stray header");
            const auto header = p::decode_content_header(payload);
            require(header.has_value() && header->class_id == 60, "a header that cannot be read");
            open->second.left = header->body_size;
            open->second.properties = header->properties;
            if (header->body_size == 0) finish_content(channel);
            return;
        }
        case p::FrameType::body:
            require(open != contents_.end() && payload.size() <= open->second.left && !payload.empty(),
                    "a stray body");
            open->second.left -= payload.size();
            open->second.body += payload;
            if (open->second.left == 0) finish_content(channel);
            return;
        case p::FrameType::heartbeat: return;
    }
    throw Violation(fmt::format("a frame of type {}", type));
}

void Peer::finish_content(std::uint16_t channel) {
    const Content content = std::move(contents_[channel]);
    contents_.erase(channel);
    const auto properties = p::decode_properties(content.properties);
    require(properties.has_value(), "properties that cannot be read");
    on_content(channel, *p::decode_method(content.method), *properties, content.body);
}

}  // namespace trilby::harness
