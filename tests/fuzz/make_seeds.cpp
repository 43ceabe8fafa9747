// SPDX-License-Identifier: Apache-2.0
// Writes the seeds of the protocol's fuzz targets below the directory given; findings are added beside them
// by hand.
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/frame.hpp"
#include "protocol/methods.hpp"
#include "protocol/properties.hpp"
#include "tests/unit/protocol/random_values.hpp"

using namespace trilby::protocol;
using test::RandomValues;

namespace {

struct Corpus {
    std::filesystem::path root;

    void write(std::string_view target, std::string_view seed, std::string_view bytes) const {
        std::filesystem::create_directories(root / target);
        std::ofstream{root / target / seed, std::ios::binary} << bytes;
    }
};

Properties all_properties(RandomValues& random) {
    Properties properties;
    std::apply([&](const auto&... field) { (random.fill((properties.*field.member).emplace()), ...); },
               Properties::fields);
    return properties;
}

/// One stream of frames for each class of methods.
template <class... M>
void write_methods(const Corpus& corpus, RandomValues& random, std::variant<M...>*) {
    std::string stream;
    std::string_view stream_class;
    const auto add = [&]<class Next>() {
        const auto next_class = Next::name.substr(0, Next::name.find('.'));
        if (next_class != stream_class && !stream.empty()) {
            corpus.write("frame_stream", stream_class, stream);
            stream.clear();
        }
        stream_class = next_class;
        append_method(stream, 1, random.method<Next>());
    };
    (add.template operator()<M>(), ...);
    corpus.write("frame_stream", stream_class, stream);
}

void write_publish(const Corpus& corpus) {
    const auto headers =
        TableBuilder{}.string("fedora_messaging_schema", "koji.build").integer("priority", 2).take();
    const auto properties = encode_properties({.content_type = "application/json",
                                               .headers = TableView{headers},
                                               .delivery_mode = 2,
                                               .message_id = "1-2"});
    std::string stream{protocol_header()};
    append_method(stream, 0, connection::TuneOk{.channel_max = 2047, .frame_max = 4096, .heartbeat = 60});
    append_method(stream, 0, connection::Open{.virtual_host = "/"});
    append_method(stream, 1, channel::Open{});
    append_method(
        stream, 1,
        basic::Publish{.exchange = "amq.topic", .routing_key = "org.fedoraproject.koji.build.start"});
    append_content(stream, 1, 9, properties, "{\"id\": 1}", 4096);
    append_heartbeat(stream);
    corpus.write("frame_stream", "publish", stream);
}

/// What tests/fuzz/session.cpp reads: how, and then what.
void write_session(const Corpus& corpus, RandomValues& random) {
    using namespace std::string_view_literals;
    std::string stream{"\0"sv};
    stream += protocol_header();
    append_method(
        stream, 0,
        connection::StartOk{.mechanism = "PLAIN", .response = "\0guest\0guest"sv, .locale = "en_US"});
    append_method(stream, 0, connection::TuneOk{.channel_max = 2047, .frame_max = 4096, .heartbeat = 60});
    append_method(stream, 0, connection::Open{.virtual_host = "/"});
    append_method(stream, 1, channel::Open{});
    append_method(stream, 0, connection::Close{.reply_code = 200});
    corpus.write("session", "handshake", stream);

    stream = "\1"sv;
    append_method(stream, 1, queue::Declare{.queue = "q"});
    append_method(stream, 1, basic::Publish{.routing_key = "q"});
    append_content(stream, 1, 5000, encode_properties({.content_type = "text/plain"}), std::string(5000, 'b'),
                   4096);
    append_method(stream, 1, basic::Consume{.queue = "q", .consumer_tag = "c"});
    append_method(stream, 1, basic::Ack{.delivery_tag = 1});
    append_method(stream, 1, channel::Close{.reply_code = 200});
    corpus.write("session", "consume", stream);

    for (const auto* name : {"choices_1", "choices_2", "choices_3", "choices_4"}) {
        stream = "\3"sv;
        for (int i = 0; i < 200; ++i) stream += static_cast<char>(random.below(256));
        corpus.write("session", name, stream);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const Corpus corpus{argv[1]};
    RandomValues random{20090916};
    write_methods(corpus, random, static_cast<Method*>(nullptr));
    write_publish(corpus);

    std::string each_type;
    for (const char letter : test::type_letters) {
        each_type += std::string{"\x01"} + letter;
        const auto size = detail::payload_size[static_cast<unsigned char>(letter)];
        append_value(each_type, {letter, size >= 0 ? std::string_view{"\1\2\3\4\5\6\7\x08",
                                                                      static_cast<std::size_t>(size)}
                                                   : std::string_view{}});
    }
    corpus.write("field_table", "each_type", each_type);
    std::string deep;
    for (int depth = 0; depth < 8; ++depth) {
        deep = TableBuilder{}.array("a", ArrayBuilder{}.table(TableView{deep}).take()).take();
    }
    corpus.write("field_table", "deep", deep);
    for (const auto* name : {"random_1", "random_2", "random_3"}) {
        std::string_view raw;
        while (raw.empty()) raw = random.table_bytes();
        corpus.write("field_table", name, raw);
    }

    const auto write_header = [&](std::string_view name, const Properties& properties) {
        std::string frame;
        append_content_header(frame, 1, 100, encode_properties(properties));
        corpus.write("content_header", name,
                     std::string_view{frame}.substr(frame_head_size, frame.size() - frame_overhead));
    };
    write_header("none", {});
    write_header("all", all_properties(random));
    write_header("persistent", {.content_type = "text/plain", .delivery_mode = 2});
    write_session(corpus, random);
}
