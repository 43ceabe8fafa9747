// SPDX-License-Identifier: Apache-2.0
#include "broker/arguments/arguments.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace trilby::broker;
using trilby::protocol::TableBuilder;
using trilby::protocol::TableView;
using trilby::protocol::ValueView;
using namespace std::string_view_literals;

namespace {

const std::string accepted = "accepted";

/// The text for queue 'q' in vhost '/', or "accepted".
std::string declare(const std::string& table, QueueType type = QueueType::classic) {
    const auto result = check_queue_arguments(TableView{table}, "q", "/", type);
    return result ? accepted : result.error();
}

QueueArguments read(const std::string& table, QueueType type = QueueType::classic) {
    const auto result = check_queue_arguments(TableView{table}, "q", "/", type);
    REQUIRE(result);
    return *result;
}

std::string redeclare(const std::string& current, const std::string& received,
                      QueueType type = QueueType::classic) {
    return inequivalent_argument(TableView{current}, TableView{received}, "q", "/", type)
        .value_or("equivalent");
}

std::string consume(const std::string& table, QueueType type = QueueType::classic) {
    const auto result = check_consumer_arguments(TableView{table}, type, "N", "/");
    return result ? accepted : result.error();
}

std::string invalid(std::string_view argument, std::string_view reason) {
    return "invalid arg '" + std::string{argument} + "' for queue 'q' in vhost '/': " + std::string{reason};
}

std::string of_type(std::string_view argument, std::string_view module) {
    return "invalid arg '" + std::string{argument} + "' for queue 'q' in vhost '/' of queue type " +
           std::string{module};
}

std::string text(std::string_view name, std::string_view value) {
    return TableBuilder{}.string(name, value).take();
}
std::string number(std::string_view name, std::int64_t value) {
    return TableBuilder{}.integer(name, value).take();
}
std::string number32(std::string_view name, std::int32_t value) {
    return TableBuilder{}.integer32(name, value).take();
}
std::string boolean(std::string_view name, bool value) {
    return TableBuilder{}.boolean(name, value).take();
}
std::string real(std::string_view name, double value) {
    return TableBuilder{}.double_(name, value).take();
}

}  // namespace

TEST_CASE("a queue without arguments is of the default type and has no limits") {
    const auto result = read("");
    CHECK(result.type == QueueType::classic);
    CHECK_FALSE(result.message_ttl);
    CHECK_FALSE(result.max_length);
    CHECK_FALSE(result.dead_letter_exchange);
    CHECK(read("", QueueType::quorum).type == QueueType::quorum);
    CHECK(read(text("x-queue-type", "classic"), QueueType::quorum).type == QueueType::classic);
}

TEST_CASE("every argument of a classic queue is read") {
    const auto result = read(TableBuilder{}
                                 .string("x-queue-type", "classic")
                                 .integer32("x-message-ttl", 1000)
                                 .integer("x-expires", 2000)
                                 .integer("x-max-length", 10)
                                 .integer("x-max-length-bytes", 5'000'000'000)
                                 .string("x-overflow", "reject-publish")
                                 .string("x-dead-letter-exchange", "")
                                 .string("x-dead-letter-routing-key", "k")
                                 .integer("x-max-priority", 255)
                                 .boolean("x-single-active-consumer", true)
                                 .string("x-queue-mode", "lazy")
                                 .integer("x-queue-version", 2)
                                 .string("x-queue-master-locator", "min-masters")
                                 .string("x-queue-leader-locator", "balanced")
                                 .integer("x-consumer-timeout", 7)
                                 .take());
    CHECK(result.type == QueueType::classic);
    CHECK(result.message_ttl == std::chrono::seconds{1});
    CHECK(result.expires == std::chrono::seconds{2});
    CHECK(result.max_length == 10);
    CHECK(result.max_length_bytes == 5'000'000'000);
    CHECK(result.overflow == Overflow::reject_publish);
    CHECK(result.dead_letter_exchange == "");
    CHECK(result.dead_letter_routing_key == "k");
    CHECK(result.max_priority == 255);
    CHECK(result.single_active_consumer == true);
    CHECK(result.queue_mode == "lazy");
    CHECK(result.queue_version == 2);
    CHECK(result.master_locator == "min-masters");
    CHECK(result.leader_locator == "balanced");
    CHECK(result.consumer_timeout);
}

TEST_CASE("every argument of a quorum queue is read") {
    const auto result = read(TableBuilder{}
                                 .string("x-queue-type", "quorum")
                                 .string("x-overflow", "reject-publish-dlx")
                                 .string("x-dead-letter-strategy", "at-least-once")
                                 .integer("x-delivery-limit", -1)
                                 .integer("x-quorum-initial-group-size", 3)
                                 .integer("x-max-in-memory-length", 0)
                                 .integer("x-max-in-memory-bytes", 1)
                                 .take());
    CHECK(result.type == QueueType::quorum);
    CHECK(result.overflow == Overflow::reject_publish_dlx);
    CHECK(result.dead_letter_strategy == DeadLetterStrategy::at_least_once);
    CHECK(result.delivery_limit == -1);
    CHECK(result.initial_cluster_size == 3);
    CHECK(result.max_in_memory_length == 0);
    CHECK(result.max_in_memory_bytes == 1);
    CHECK(read(text("x-dead-letter-strategy", "at-most-once"), QueueType::quorum).dead_letter_strategy ==
          DeadLetterStrategy::at_most_once);
}

TEST_CASE("every argument of a stream is read") {
    const auto result = read(TableBuilder{}
                                 .string("x-queue-type", "stream")
                                 .string("x-max-age", "2h")
                                 .integer("x-max-length-bytes", 9)
                                 .integer("x-stream-max-segment-size-bytes", 3'000'000'000)
                                 .integer("x-stream-filter-size-bytes", 16)
                                 .integer("x-initial-cluster-size", 1)
                                 .take());
    CHECK(result.type == QueueType::stream);
    CHECK(result.max_age == std::chrono::hours{2});
    CHECK(result.max_length_bytes == 9);
    CHECK(result.max_segment_size_bytes == 3'000'000'000);
    CHECK(result.filter_size_bytes == 16);
    CHECK(result.initial_cluster_size == 1);
}

TEST_CASE("an integer argument takes every integer type and no other") {
    const auto one = [](char type, std::string_view bytes) {
        return TableBuilder{}.value("x-message-ttl", ValueView{type, bytes}).take();
    };
    for (const auto& table :
         {one('b', "\1"sv), one('B', "\1"sv), one('s', "\0\1"sv), one('u', "\0\1"sv), one('I', "\0\0\0\1"sv),
          one('i', "\0\0\0\1"sv), one('l', "\0\0\0\0\0\0\0\1"sv), one('L', "\0\0\0\0\0\0\0\1"sv)}) {
        CHECK(read(table).message_ttl == std::chrono::milliseconds{1});
    }
    CHECK(declare(one('S', "1")) == invalid("x-message-ttl", "\"expected integer, got longstr\""));
    CHECK(declare(one('d', "\0\0\0\0\0\0\0\0"sv)) ==
          invalid("x-message-ttl", "\"expected integer, got double\""));
    CHECK(declare(one('f', "\0\0\0\0"sv)) == invalid("x-message-ttl", "\"expected integer, got float\""));
    CHECK(declare(one('t', "\1")) == invalid("x-message-ttl", "\"expected integer, got bool\""));
    CHECK(declare(one('V', "")) == invalid("x-message-ttl", "\"expected integer, got void\""));
    CHECK(declare(one('F', "")) == invalid("x-message-ttl", "\"expected integer, got table\""));
    CHECK(declare(one('A', "")) == invalid("x-message-ttl", "\"expected integer, got array\""));
    CHECK(declare(one('T', "\0\0\0\0\0\0\0\1"sv)) ==
          invalid("x-message-ttl", "\"expected integer, got timestamp\""));
}

TEST_CASE("names stand in the text as they are") {
    const auto table = text("x-message-ttl", "1000");
    const auto result = check_queue_arguments(TableView{table}, "qz", "/v", QueueType::classic);
    REQUIRE_FALSE(result);
    CHECK(result.error() ==
          "invalid arg 'x-message-ttl' for queue 'qz' in vhost '/v': \"expected integer, got longstr\"");
}

TEST_CASE("a message TTL is 0 to 315360000000 ms") {
    CHECK(declare(number("x-message-ttl", 0)) == accepted);
    CHECK(declare(number("x-message-ttl", 315'360'000'000)) == accepted);
    CHECK(declare(number("x-message-ttl", 315'360'000'001)) ==
          invalid("x-message-ttl", "{value_too_large,315360000001}"));
    CHECK(declare(number32("x-message-ttl", -1)) == invalid("x-message-ttl", "{value_negative,-1}"));
}

TEST_CASE("an expiry is 1 to 315360000000 ms") {
    CHECK(declare(number("x-expires", 1)) == accepted);
    CHECK(declare(number("x-expires", 315'360'000'000)) == accepted);
    CHECK(declare(number("x-expires", 0)) == invalid("x-expires", "{value_zero,0}"));
    CHECK(declare(number("x-expires", -1)) == invalid("x-expires", "{value_negative,-1}"));
    CHECK(declare(number("x-expires", 315'360'000'001)) ==
          invalid("x-expires", "{value_too_large,315360000001}"));
    CHECK(declare(text("x-expires", "1")) == invalid("x-expires", "\"expected integer, got longstr\""));
}

TEST_CASE("lengths are not negative") {
    for (const char* name : {"x-max-length", "x-max-length-bytes"}) {
        CHECK(declare(number(name, 0)) == accepted);
        CHECK(declare(number(name, -1)) == invalid(name, "{value_negative,-1}"));
        CHECK(declare(boolean(name, true)) == invalid(name, "\"expected integer, got bool\""));
    }
    for (const char* name : {"x-max-in-memory-length", "x-max-in-memory-bytes"}) {
        CHECK(declare(number(name, 0), QueueType::quorum) == accepted);
        CHECK(declare(number(name, -1), QueueType::quorum) == invalid(name, "{value_negative,-1}"));
    }
}

TEST_CASE("x-consumer-timeout is neither looked at nor compared, as RabbitMQ 3.10 does not know it") {
    CHECK(declare(text("x-consumer-timeout", "soon")) == accepted);
    CHECK(declare(number("x-consumer-timeout", -1), QueueType::quorum) == accepted);
    CHECK(inequivalent_argument(TableView{number("x-consumer-timeout", 1)}, {}, "q", "/") == std::nullopt);
}

TEST_CASE("an overflow is one of three words") {
    CHECK(read(text("x-overflow", "drop-head")).overflow == Overflow::drop_head);
    CHECK(declare(text("x-overflow", "foo")) == invalid("x-overflow", "invalid_overflow"));
    CHECK(declare(text("x-overflow", "")) == invalid("x-overflow", "invalid_overflow"));
    CHECK(declare(number32("x-overflow", 1)) == invalid("x-overflow", "{unacceptable_type,signedint}"));
}

TEST_CASE("a dead letter exchange is a string, which is found out before anything else") {
    CHECK(declare(number32("x-dead-letter-exchange", 1)) ==
          "invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'");
    const auto table =
        TableBuilder{}.string("x-queue-type", "foo").integer("x-dead-letter-exchange", 1).take();
    CHECK(declare(table) == "invalid type 'long' for arg 'x-dead-letter-exchange' in queue 'q' in vhost '/'");
    CHECK(check_dead_letter_exchange(TableView{text("x-dead-letter-exchange", "dlx")}, "q", "/").value() ==
          "dlx");
    CHECK(check_dead_letter_exchange(TableView{""}, "q", "/").value() == std::nullopt);
}

TEST_CASE("a dead letter routing key needs a dead letter exchange in the same declaration") {
    CHECK(declare(text("x-dead-letter-routing-key", "k")) ==
          invalid("x-dead-letter-routing-key", "routing_key_but_no_dlx_defined"));
    CHECK(declare(number32("x-dead-letter-routing-key", 1)) ==
          invalid("x-dead-letter-routing-key", "{unacceptable_type,signedint}"));
    CHECK(declare(TableBuilder{}
                      .string("x-dead-letter-routing-key", "")
                      .string("x-dead-letter-exchange", "x")
                      .take()) == accepted);
}

TEST_CASE("a dead letter strategy is one of two words") {
    CHECK(declare(text("x-dead-letter-strategy", "twice"), QueueType::quorum) ==
          invalid("x-dead-letter-strategy", "invalid_dlx_strategy"));
}

TEST_CASE("a maximum priority is 0 to 255") {
    CHECK(read(number("x-max-priority", 0)).max_priority == 0);
    CHECK(declare(number("x-max-priority", 256)) == invalid("x-max-priority", "{max_value_exceeded,256}"));
    CHECK(declare(number("x-max-priority", -1)) == invalid("x-max-priority", "{value_negative,-1}"));
    CHECK(declare(text("x-max-priority", "5")) ==
          invalid("x-max-priority", "\"expected integer, got longstr\""));
}

TEST_CASE("single active consumer is a boolean") {
    CHECK(read(boolean("x-single-active-consumer", false)).single_active_consumer == false);
    CHECK(declare(number32("x-single-active-consumer", 1)) ==
          invalid("x-single-active-consumer", "{unacceptable_type,signedint}"));
}

TEST_CASE("queue mode and queue version have two values each") {
    CHECK(read(text("x-queue-mode", "default")).queue_mode == "default");
    CHECK(declare(text("x-queue-mode", "foo")) ==
          invalid("x-queue-mode", "\"unsupported queue mode 'foo'\""));
    CHECK(declare(boolean("x-queue-mode", true)) == invalid("x-queue-mode", "{unacceptable_type,bool}"));
    CHECK(read(number("x-queue-version", 1)).queue_version == 1);
    CHECK(declare(number("x-queue-version", 3)) ==
          invalid("x-queue-version", "\"unsupported queue version '3'\""));
    CHECK(declare(text("x-queue-version", "2")) ==
          invalid("x-queue-version", "\"expected integer, got longstr\""));
}

TEST_CASE("an unknown queue type is refused, the empty one too, and before every other argument") {
    CHECK(declare(text("x-queue-type", "foo")) ==
          invalid("x-queue-type", "\"unsupported queue type 'foo'\""));
    CHECK(declare(text("x-queue-type", "")) == invalid("x-queue-type", "\"unsupported queue type ''\""));
    CHECK(declare(text("x-queue-type", "a\"b")) ==
          invalid("x-queue-type", "\"unsupported queue type 'a\\\"b'\""));
    CHECK(declare(number32("x-queue-type", 1)) == invalid("x-queue-type", "{unacceptable_type,signedint}"));
    CHECK(declare(TableBuilder{}.integer("x-expires", 0).string("x-queue-type", "foo").take()) ==
          invalid("x-queue-type", "\"unsupported queue type 'foo'\""));
    CHECK(unsupported_queue_type(QueueType::stream, "q", "/") ==
          invalid("x-queue-type", "\"unsupported queue type 'stream'\""));
}

TEST_CASE("arguments are checked in RabbitMQ's order, not in that of the table") {
    CHECK(declare(TableBuilder{}.integer("x-max-length", -1).integer("x-expires", 0).take()) ==
          invalid("x-expires", "{value_zero,0}"));
    CHECK(declare(TableBuilder{}.integer("x-expires", 0).integer("x-delivery-limit", 1).take()) ==
          invalid("x-expires", "{value_zero,0}"));
}

TEST_CASE("the first of two arguments of one name counts") {
    CHECK(read(TableBuilder{}.integer("x-max-length", 1).integer("x-max-length", 2).take()).max_length == 1);
}

TEST_CASE("an argument of another queue type is refused with the module's name") {
    CHECK(declare(number("x-max-priority", 1), QueueType::quorum) ==
          of_type("x-max-priority", "rabbit_quorum_queue"));
    CHECK(declare(text("x-queue-mode", "foo"), QueueType::quorum) ==
          of_type("x-queue-mode", "rabbit_quorum_queue"));
    CHECK(declare(number("x-delivery-limit", 1)) == of_type("x-delivery-limit", "rabbit_classic_queue"));
    CHECK(declare(text("x-max-age", "1h")) == of_type("x-max-age", "rabbit_classic_queue"));
    CHECK(declare(number("x-max-in-memory-length", 1)) ==
          of_type("x-max-in-memory-length", "rabbit_classic_queue"));
    CHECK(declare(text("x-dead-letter-strategy", "at-most-once")) ==
          of_type("x-dead-letter-strategy", "rabbit_classic_queue"));
    CHECK(declare(number("x-message-ttl", 1), QueueType::stream) ==
          of_type("x-message-ttl", "rabbit_stream_queue"));
    CHECK(declare(TableBuilder{}.integer("x-expires", 1).string("x-queue-type", "stream").take()) ==
          of_type("x-expires", "rabbit_stream_queue"));
}

TEST_CASE("of several arguments of another queue type the first in the table is named") {
    CHECK(declare(TableBuilder{}.string("x-max-age", "1h").integer("x-delivery-limit", 1).take()) ==
          of_type("x-max-age", "rabbit_classic_queue"));
    CHECK(declare(TableBuilder{}.integer("x-delivery-limit", 1).string("x-max-age", "1h").take()) ==
          of_type("x-delivery-limit", "rabbit_classic_queue"));
}

TEST_CASE("unknown arguments are not looked at") {
    CHECK(declare(TableBuilder{}.integer32("x-foo", -1).string("x-ha-policy", "all").void_("").take()) ==
          accepted);
}

TEST_CASE("a leader locator is one of the known words, a master locator and a delivery limit anything") {
    CHECK(declare(text("x-queue-leader-locator", "client-local")) == accepted);
    CHECK(declare(text("x-queue-leader-locator", "least-leaders"), QueueType::quorum) == accepted);
    CHECK(declare(text("x-queue-leader-locator", "foo"), QueueType::quorum) ==
          invalid("x-queue-leader-locator", "invalid_queue_locator_arg"));
    CHECK(declare(number32("x-queue-leader-locator", 1), QueueType::quorum) ==
          invalid("x-queue-leader-locator", "{unacceptable_type,signedint}"));
    CHECK(declare(number("x-queue-master-locator", 1)) == accepted);
    CHECK(declare(text("x-delivery-limit", "many"), QueueType::quorum) == accepted);
}

TEST_CASE("initial sizes are at least one") {
    CHECK(declare(number("x-quorum-initial-group-size", 0), QueueType::quorum) ==
          invalid("x-quorum-initial-group-size", "{value_zero,0}"));
    CHECK(declare(number("x-initial-cluster-size", -1), QueueType::stream) ==
          invalid("x-initial-cluster-size", "{value_negative,-1}"));
}

TEST_CASE("a maximum age is a positive number with a unit") {
    const auto age = [](std::string_view value) {
        return read(text("x-max-age", value), QueueType::stream).max_age;
    };
    CHECK(age("1Y") == std::chrono::hours{365 * 24});
    CHECK(age("1M") == std::chrono::hours{30 * 24});
    CHECK(age("7D") == std::chrono::hours{7 * 24});
    CHECK(age("3m") == std::chrono::minutes{3});
    CHECK(age("05s") == std::chrono::seconds{5});
    for (const char* value :
         {"", "1", "h", "0h", "-1h", "+1h", "1H", "1d", "1hh", "1 h", " 1h", "99999999999999999999h"}) {
        CAPTURE(value);
        CHECK(declare(text("x-max-age", value), QueueType::stream) ==
              invalid("x-max-age", "invalid_max_age"));
    }
    CHECK(declare(number32("x-max-age", 1), QueueType::stream) ==
          invalid("x-max-age", "{unacceptable_type,signedint}"));
}

TEST_CASE("a stream's segment and filter sizes have bounds") {
    CHECK(declare(number("x-stream-max-segment-size-bytes", -1), QueueType::stream) ==
          invalid("x-stream-max-segment-size-bytes", "{value_negative,-1}"));
    CHECK(declare(number("x-stream-max-segment-size-bytes", 3'000'000'001), QueueType::stream) ==
          "Exceeded max value for x-stream-max-segment-size-bytes");
    CHECK(declare(number("x-stream-filter-size-bytes", 255), QueueType::stream) == accepted);
    for (const int size : {0, 15, 256}) {
        CHECK(declare(number("x-stream-filter-size-bytes", size), QueueType::stream) ==
              "Invalid value for x-stream-filter-size-bytes");
    }
}

TEST_CASE("quorum queues and streams are durable, shared and permanent") {
    const auto check = [](QueueType type, QueueProperties properties) {
        return check_queue_properties(type, properties, "q", "/").value_or(accepted);
    };
    CHECK(check(QueueType::classic, {.durable = false, .auto_delete = true, .exclusive = true}) == accepted);
    for (const auto type : {QueueType::quorum, QueueType::stream}) {
        CHECK(check(type, {.durable = true}) == accepted);
        CHECK(check(type, {}) == "invalid property 'non-durable' for queue 'q' in vhost '/'");
        CHECK(check(type, {.durable = true, .auto_delete = true}) ==
              "invalid property 'auto-delete' for queue 'q' in vhost '/'");
        CHECK(check(type, {.exclusive = true}) ==
              "invalid property 'exclusive-owner' for queue 'q' in vhost '/'");
    }
}

TEST_CASE("redeclaring with the same arguments is equivalent, in any order and any integer type") {
    const auto current =
        TableBuilder{}.integer("x-message-ttl", 1000).string("x-overflow", "drop-head").take();
    CHECK(redeclare(current, current) == "equivalent");
    CHECK(
        redeclare(current,
                  TableBuilder{}.string("x-overflow", "drop-head").integer32("x-message-ttl", 1000).take()) ==
        "equivalent");
    CHECK(redeclare("", "") == "equivalent");
}

TEST_CASE("redeclaring with another value is refused with both") {
    CHECK(
        redeclare(number32("x-message-ttl", 1000), number32("x-message-ttl", 2000)) ==
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received '2000' but current is '1000'");
    CHECK(
        redeclare(text("x-overflow", "drop-head"), text("x-overflow", "reject-publish")) ==
        "inequivalent arg 'x-overflow' for queue 'q' in vhost '/': received 'reject-publish' but current is "
        "'drop-head'");
    CHECK(redeclare(boolean("x-single-active-consumer", true), boolean("x-single-active-consumer", false)) ==
          "inequivalent arg 'x-single-active-consumer' for queue 'q' in vhost '/': received 'false' but "
          "current is "
          "'true'");
    CHECK(redeclare(number("x-max-length", 1), text("x-max-length", "1")) ==
          "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '1' but current is '1'");
    CHECK(redeclare(number("x-max-length", 1), real("x-max-length", 1.5)) ==
          "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received '1.5' but current is '1'");
}

TEST_CASE("redeclaring with one argument too few or too many is refused with its type") {
    CHECK(
        redeclare(number32("x-message-ttl", 1000), "") ==
        "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received none but current is the value "
        "'1000' of type 'signedint'");
    CHECK(redeclare("", number32("x-message-ttl", 1000)) ==
          "inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': received the value '1000' of type "
          "'signedint' but current is none");
    CHECK(
        redeclare("", text("x-dead-letter-exchange", "")) ==
        "inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received the value '' of type "
        "'longstr' but current is none");
}

TEST_CASE("arguments that the existing queue's type does not know are not compared") {
    CHECK(redeclare("", number("x-foo", 1)) == "equivalent");
    CHECK(redeclare(number("x-foo", 2), number("x-foo", 1)) == "equivalent");
    CHECK(redeclare("", number("x-delivery-limit", 1)) == "equivalent");
    CHECK(redeclare("", number("x-delivery-limit", 1), QueueType::quorum) ==
          "inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received the value '1' of type "
          "'long' but "
          "current is none");
}

TEST_CASE("an absent queue type is the default one, and another is refused") {
    const auto classic = text("x-queue-type", "classic");
    const auto quorum = text("x-queue-type", "quorum");
    CHECK(redeclare("", classic) == "equivalent");
    CHECK(redeclare(classic, "") == "equivalent");
    CHECK(redeclare(quorum, "", QueueType::quorum) == "equivalent");
    CHECK(
        redeclare(quorum, "") ==
        "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received none but current is the value "
        "'quorum' of type 'longstr'");
    CHECK(redeclare("", quorum) ==
          "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received the value 'quorum' of type "
          "'longstr' "
          "but current is none");
    CHECK(redeclare(classic, quorum) ==
          "inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current is "
          "'classic'");
}

TEST_CASE("a property that differs is refused with both values") {
    CHECK(inequivalent_property("durable", exchange_in_vhost("X", "/"), "true", "false") ==
          "inequivalent arg 'durable' for exchange 'X' in vhost '/': received 'true' but current is 'false'");
    CHECK(
        inequivalent_property("auto_delete", queue_in_vhost("Q", "/v"), "false", "true") ==
        "inequivalent arg 'auto_delete' for queue 'Q' in vhost '/v': received 'false' but current is 'true'");
}

TEST_CASE("an alternate exchange is a string") {
    const auto named = text("alternate-exchange", "ae");
    CHECK(check_exchange_arguments(TableView{named}, "X", "/").value().alternate_exchange == "ae");
    CHECK_FALSE(check_exchange_arguments(TableView{""}, "X", "/").value().alternate_exchange);
    const auto wrong = number32("alternate-exchange", 1);
    const auto result = check_exchange_arguments(TableView{wrong}, "X", "/");
    REQUIRE_FALSE(result);
    CHECK(result.error() ==
          "invalid type 'signedint' for arg 'alternate-exchange' in exchange 'X' in vhost '/'");
}

TEST_CASE("of an exchange's arguments only the alternate exchange is compared") {
    const auto compare = [](const std::string& current, const std::string& received) {
        return inequivalent_exchange_argument(TableView{current}, TableView{received}, "X", "/")
            .value_or("equivalent");
    };
    const auto ae = text("alternate-exchange", "ae");
    CHECK(compare(ae, ae) == "equivalent");
    CHECK(compare("", number("x-foo", 1)) == "equivalent");
    CHECK(compare(ae, text("alternate-exchange", "other")) ==
          "inequivalent arg 'alternate-exchange' for exchange 'X' in vhost '/': received 'other' but current "
          "is "
          "'ae'");
    CHECK(compare(ae, "") ==
          "inequivalent arg 'alternate-exchange' for exchange 'X' in vhost '/': received none but "
          "current is the value 'ae' of type 'longstr'");
}

TEST_CASE("a consumer's priority is an integer, negative as well") {
    const auto table = number32("x-priority", -5);
    CHECK(check_consumer_arguments(TableView{table}, QueueType::classic, "N", "/").value().priority == -5);
    CHECK_FALSE(check_consumer_arguments(TableView{""}, QueueType::classic, "N", "/").value().priority);
    CHECK(consume(text("x-priority", "1")) ==
          "invalid arg 'x-priority' for queue 'N' in vhost '/': \"expected integer, got longstr\"");
    CHECK(consume(number("x-priority", 1), QueueType::stream) ==
          "invalid arg 'x-priority' for queue 'N' in vhost '/' of queue type rabbit_stream_queue");
}

TEST_CASE("cancel on failover is a boolean of classic queues") {
    CHECK(consume(boolean("x-cancel-on-ha-failover", true)) == accepted);
    CHECK(consume(number32("x-cancel-on-ha-failover", 1)) ==
          "invalid arg 'x-cancel-on-ha-failover' for queue 'N' in vhost '/': {unacceptable_type,signedint}");
    CHECK(
        consume(boolean("x-cancel-on-ha-failover", true), QueueType::quorum) ==
        "invalid arg 'x-cancel-on-ha-failover' for queue 'N' in vhost '/' of queue type rabbit_quorum_queue");
}

TEST_CASE("a stream offset belongs to streams") {
    CHECK(consume(text("x-stream-offset", "first")) ==
          "invalid arg 'x-stream-offset' for queue 'N' in vhost '/' of queue type rabbit_classic_queue");
    for (const char* word : {"first", "last", "next", "1h"}) {
        CHECK(consume(text("x-stream-offset", word), QueueType::stream) == accepted);
    }
    CHECK(consume(number("x-stream-offset", 5), QueueType::stream) == accepted);
    CHECK(consume(TableBuilder{}.timestamp("x-stream-offset", 5).take(), QueueType::stream) == accepted);
    CHECK(consume(text("x-stream-offset", "foo"), QueueType::stream) ==
          "invalid arg 'x-stream-offset' for queue 'N' in vhost '/': "
          "{invalid_stream_offset_arg,{longstr,<<\"foo\">>}}");
}

TEST_CASE("other arguments of a consumer are ignored") {
    CHECK(consume(TableBuilder{}.string("x-foo", "bar").integer("x-consumer-timeout", -1).take()) ==
          accepted);
}
