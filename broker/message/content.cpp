// SPDX-License-Identifier: Apache-2.0
#include "broker/message/content.hpp"

#include "protocol/frame.hpp"

namespace trilby::broker {

void Content::begin(std::string_view names, std::uint8_t flags) {
    names_.assign(names);
    flags_ = flags;
    expect_ = Expect::header;
}

void Content::header(std::string_view payload, std::uint32_t body_size) {
    char head[protocol::frame_head_size];
    protocol::write_frame_head(head, {static_cast<std::uint8_t>(protocol::FrameType::header), 0,
                                      static_cast<std::uint32_t>(payload.size())});
    header_frame_size_ = static_cast<std::uint32_t>(payload.size() + protocol::frame_overhead);
    body_size_ = body_left_ = body_size;
    tail_.clear();
    tail_ += protocol::frame_end;
    tail_.append(head, sizeof head);
    tail_ += payload;
    tail_ += protocol::frame_end;
    if (body_size == 0) {
        expect_ = Expect::nothing;
        return;
    }
    protocol::write_frame_head(head, {static_cast<std::uint8_t>(protocol::FrameType::body), 0, body_size});
    tail_.append(head, sizeof head);
    expect_ = Expect::body;
}

void Content::body(std::string_view part) {
    tail_ += part;
    body_left_ -= static_cast<std::uint32_t>(part.size());
    if (body_left_ == 0) {
        tail_ += protocol::frame_end;
        expect_ = Expect::nothing;
    }
}

Publication Content::publication() const {
    return {names_, tail_, header_frame_size_, body_size_};
}

void Content::clear() {
    expect_ = Expect::nothing;
    names_.clear();
    // A large body is copied once into its message; small memory is kept for the next publish.
    if (tail_.capacity() > 4096) std::string().swap(tail_);
    tail_.clear();
}

}  // namespace trilby::broker
