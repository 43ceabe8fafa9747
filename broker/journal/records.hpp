// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <span>
#include <string_view>

#include "broker/journal/format.hpp"
#include "broker/message/message.hpp"

// Records, written where the stream has room for them.

namespace trilby::broker::journal {

inline std::size_t publish_size(std::size_t queues, std::size_t octets) {
    return padded(sizeof(RecordHead) + queues * sizeof(StoredQueue) + sizeof(PublishFields) + octets);
}
inline std::size_t runs_size(std::size_t runs) {
    return sizeof(RecordHead) + runs * sizeof(Run);
}
inline constexpr std::size_t commit_size = sizeof(RecordHead);

inline void write_publish(char* to, MessageId id, std::uint64_t stamp, std::span<const StoredQueue> queues,
                          const Publication& publication) {
    const auto& [names, tail, header_frame_size, body_size] = publication;
    const std::size_t size = publish_size(queues.size(), names.size() + tail.size());
    RecordHead head{
        .length = 0, .checksum = 0, .type = RecordType::publish, .zero = 0, .count = 0, .times = 0, .id = id};
    set_queue_count(head, queues.size());
    const PublishFields fields{.stamp = stamp,
                               .names_size = static_cast<std::uint32_t>(names.size()),
                               .header_frame_size = header_frame_size,
                               .body_size = body_size,
                               .zero = 0};
    char* at = to;
    const auto put = [&](const void* from, std::size_t octets) {
        if (octets != 0) std::memcpy(at, from, octets);  // no queues: nowhere
        at += octets;
    };
    put(&head, sizeof head);
    put(queues.data(), queues.size_bytes());
    put(&fields, sizeof fields);
    put(names.data(), names.size());
    put(tail.data(), tail.size());
    std::memset(at, 0, static_cast<std::size_t>(to + size - at));
    seal_record(to, static_cast<std::uint32_t>(size));
}

/// A publish's sizes add up to its length; the record is there as a whole.
inline bool is_publish(const char* at) {
    const auto head = load<RecordHead>(at);
    const std::uint64_t fields_at = sizeof head + queue_count(head) * sizeof(StoredQueue);
    if (head.type != RecordType::publish || fields_at + sizeof(PublishFields) > head.length) return false;
    const auto fields = load<PublishFields>(at + fields_at);
    if (fields.header_frame_size < 8 + 12 || fields.names_size < 2) return false;
    const std::uint64_t tail = 1 + std::uint64_t{fields.header_frame_size} +
                               (fields.body_size == 0 ? 0 : std::uint64_t{fields.body_size} + 8);
    return padded(fields_at + sizeof fields + fields.names_size + tail) == head.length;
}

/// The message of such a record, in place.
inline Publication publication_of(const char* at) {
    const auto head = load<RecordHead>(at);
    const char* const fields_at = at + sizeof head + queue_count(head) * sizeof(StoredQueue);
    const auto fields = load<PublishFields>(fields_at);
    const char* const names = fields_at + sizeof fields;
    const std::size_t tail = 1 + std::size_t{fields.header_frame_size} +
                             (fields.body_size == 0 ? 0 : std::size_t{fields.body_size} + 8);
    return {{names, fields.names_size},
            {names + fields.names_size, tail},
            fields.header_frame_size,
            fields.body_size};
}

/// Settles or marks; at most 65,535 runs.
inline void write_runs(char* to, RecordType type, StoredQueue queue, std::span<const Run> runs,
                       std::uint32_t times = 0) {
    const RecordHead head{.length = 0,
                          .checksum = 0,
                          .type = type,
                          .zero = 0,
                          .count = static_cast<std::uint16_t>(runs.size()),
                          .times = times,
                          .id = queue};
    std::memcpy(to, &head, sizeof head);
    std::memcpy(to + sizeof head, runs.data(), runs.size_bytes());
    seal_record(to, static_cast<std::uint32_t>(runs_size(runs.size())));
}

/// Before the `records` of a transaction.
inline void write_commit(char* to, std::uint32_t records) {
    const RecordHead head{.length = 0,
                          .checksum = 0,
                          .type = RecordType::commit,
                          .zero = 0,
                          .count = 0,
                          .times = records,
                          .id = 0};
    std::memcpy(to, &head, sizeof head);
    seal_record(to, commit_size);
}

inline void write_catalog(char* to, std::uint64_t changes) {
    const RecordHead head{.length = 0,
                          .checksum = 0,
                          .type = RecordType::catalog,
                          .zero = 0,
                          .count = 0,
                          .times = 0,
                          .id = changes};
    std::memcpy(to, &head, sizeof head);
    seal_record(to, sizeof head);
}

}  // namespace trilby::broker::journal
