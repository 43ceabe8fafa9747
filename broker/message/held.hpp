// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "broker/message/pool.hpp"

namespace trilby::broker {

/// A message with a reference that goes when this does. One shard's at a time: who has got it from another
/// one says so by `arrive`.
class Held {
  public:
    Held() = default;
    /// Takes over a reference that is counted already.
    Held(Message* message, MessagePool& pool) : message_(message), pool_(&pool) {}
    Held(Held&& other) noexcept
        : message_(std::exchange(other.message_, nullptr)), pool_(std::exchange(other.pool_, nullptr)) {}
    Held& operator=(Held&& other) noexcept {
        Held(std::move(other)).swap(*this);
        return *this;
    }
    ~Held() {
        if (message_ != nullptr) pool_->release(message_);
    }

    explicit operator bool() const { return message_ != nullptr; }
    Message* get() const { return message_; }
    Message& operator*() const { return *message_; }
    Message* operator->() const { return message_; }
    void reset() { Held().swap(*this); }
    /// It came by a road: it is let go here, into the pool of this shard.
    void arrive(MessagePool& pool) { pool_ = &pool; }

  private:
    void swap(Held& other) noexcept {
        std::swap(message_, other.message_);
        std::swap(pool_, other.pool_);
    }

    Message* message_ = nullptr;
    MessagePool* pool_ = nullptr;
};

}  // namespace trilby::broker
