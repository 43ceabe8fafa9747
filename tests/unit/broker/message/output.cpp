// SPDX-License-Identifier: Apache-2.0
#include "broker/message/output.hpp"

#include <array>
#include <random>

#include <doctest/doctest.h>

#include "tests/unit/broker/random_seed.hpp"

using namespace trilby::broker;

TEST_CASE("octets leave an output in the order in which they came, copied or referenced") {
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    trilby::broker::test::Random random(seed);
    MessagePool messages(0);
    messages.know({&messages});
    ChunkPool chunks;
    {
        Output output(chunks, messages);
        std::string expected;
        const auto text = [&](std::size_t size) {
            std::string octets(size, '\0');
            for (char& octet : octets) octet = static_cast<char>(random());
            return octets;
        };
        for (int step = 0; step < 5000; ++step) {
            switch (random() % 5) {
                case 0: {
                    const std::string octets = text(random() % 300);
                    output.append(octets);
                    expected += octets;
                    break;
                }
                case 1: {
                    const std::string octets =
                        text(1 + random() % (random() % 20 == 0 ? Output::reservable : 500));
                    std::memcpy(output.reserve(octets.size()), octets.data(), octets.size());
                    expected += octets;
                    break;
                }
                case 2: {
                    if (random() % 4 != 0) break;
                    const std::string body = text(1 + random() % 9000);
                    Message* message = messages.allocate(2, 22, static_cast<std::uint32_t>(body.size()));
                    char* at = message->bytes() + 2 + 1 + 22 + 7;
                    std::memcpy(at, body.data(), body.size());
                    output.reference(message, {at, body.size()}, random() % 2 == 0);
                    messages.release(message);  // the output holds it
                    expected += body;
                    break;
                }
                default: {
                    std::array<iovec, 4> vectors;
                    std::string offered;
                    for (std::size_t i = 0, count = output.gather(vectors); i < count; ++i)
                        offered.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
                    REQUIRE(expected.starts_with(offered));
                    REQUIRE(offered.empty() == expected.empty());
                    const std::size_t sent = offered.empty() ? 0 : random() % (offered.size() + 1);
                    output.sent(sent);
                    expected.erase(0, sent);
                }
            }
            REQUIRE(output.size() == expected.size());
            REQUIRE(output.owed() <= output.size());
        }
        output.clear();
        CHECK(output.empty());
        CHECK(output.owed() == 0);
        CHECK(messages.balance() == 0);
        output.append("more");
        CHECK(output.size() == 4);
    }
}

TEST_CASE("what an output owes is what was copied, and the references that no consumer's limit counts") {
    MessagePool messages(0);
    messages.know({&messages});
    ChunkPool chunks;
    Output output(chunks, messages);
    Message* message = messages.allocate(2, 22, 30'000);
    const std::string_view body(message->bytes(), 30'000);
    output.append("0123456789");
    output.reference(message, body, true);
    output.reference(message, body, false);
    messages.release(message);
    CHECK(output.size() == 60'010);
    CHECK(output.owed() == 30'010);
    output.sent(10'010);
    CHECK(output.owed() == 20'000);
    output.sent(20'000);
    CHECK(output.owed() == 0);
    CHECK(output.size() == 30'000);
    output.clear();
    CHECK(messages.balance() == 0);
}
