// SPDX-License-Identifier: Apache-2.0
#include "broker/catalog/store.hpp"

#include <csignal>
#include <cstdlib>
#include <optional>
#include <random>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include "broker/catalog/catalog.hpp"
#include "broker/catalog/import.hpp"
#include "broker/catalog/sqlite.hpp"
#include "broker/shard/shard.hpp"
#include "protocol/field_table.hpp"
#include "tests/unit/broker/random_seed.hpp"
#include "tests/unit/broker/temporary_folder.hpp"

using namespace trilby::broker;
using trilby::protocol::TableBuilder;

namespace {

std::filesystem::path stored_catalog(std::string_view name) {
    return std::filesystem::path(TRILBY_SOURCE_ROOT) / "tests/unit/broker/catalog" / name;
}

std::string bytes_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// Something in every section, and in every field. What is durable only.
Definitions everything() {
    Definitions all;
    all.vhosts = {{"/", "", {}, ""}, {"/pubsub", "the bus", {"a", "b"}, "quorum"}};
    all.users = {{"bodhi", "", "rabbit_password_hashing_sha256", {}, R"({"max-channels":5})"},
                 {"root",
                  "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
                  "rabbit_password_hashing_sha256",
                  {"administrator", "management"}}};
    all.permissions = {{"bodhi", "/", "^$", ".*", "r"}, {"bodhi", "/pubsub", "c", "w", ".*"}};
    all.topic_permissions = {{"bodhi", "/pubsub", "amq.topic", "^org\\.", ""}};
    all.exchanges = {
        {"/", "x", "topic", true, false, true, TableBuilder().string("alternate-exchange", "y").take()},
        {"/", "y", "fanout", true, true, false, ""},
        {"/", "amq.mine", "direct", true, false, false, ""}};
    all.queues = {{"/", "q", true, false, TableBuilder().integer("x-max-length", 5).take(), 3},
                  {"/pubsub", "q", true, true, "", 4}};
    all.bindings = {{"/", "x", "q", true, "a.#", TableBuilder().boolean("b", true).integer32("i", 1).take()},
                    {"/", "x", "y", false, "", ""},
                    {"/", "amq.mine", "amq.fanout", false, "k", ""},
                    {"/pubsub", "amq.topic", "q", true, "org.#", ""}};
    all.policies = {{"/", "HA", R"({"vhost":"/","name":"HA"})"}, {"/pubsub", "HA", R"({"vhost":"/pubsub"})"}};
    all.parameters = {{"/", "one", R"({"component":"shovel"})", "shovel"},
                      {"/", "one", R"({"component":"federation-upstream"})", "federation-upstream"}};
    all.global_parameters = {{"", "cluster_name", R"({"name":"cluster_name","value":"x"})"}};
    return all;
}

struct NoLoop final : ShardLoop {
    void wake() override {}
    void adopt(int) override {}
    void stopping() override {}
};

/// Notes why what it asked was refused.
struct Asking final : Resident {
    Asking(Shard& there, std::vector<std::optional<Refusal>>& into) : shard(there), answers(into) {
        id = shard.add_resident(*this);
    }
    ~Asking() { shard.remove_resident(id); }
    void answered(std::uint32_t number, const Answer& answer) override {
        if (const auto* refused = std::get_if<answer::Refused>(&answer)) answers[number] = refused->why;
    }
    void fail(const char*) noexcept override {}
    void turn_came() override {}
    void room_made() override {}
    void alarm_changed() override {}
    std::size_t unfinished() const override { return 0; }
    void drop_unfinished(std::size_t) override {}
    void stop(bool) override {}
    bool takes_replies(const ReplyAddress&) override { return false; }
    bool take_reply(const ReplyAddress&, Message&) override { return false; }

    Shard& shard;
    std::vector<std::optional<Refusal>>& answers;
    AskerId id{};
};

/// Two shards with a catalog that is stored.
class Broker {
  public:
    explicit Broker(const std::filesystem::path& file)
        : store_(file), home_(0, settings_, 2), away_(1, settings_, 2) {
        for (Shard* shard : {&home_, &away_}) {
            shard->set_loop(loop_);
            shard->connect({&home_, &away_});
        }
        home_.catalog()->store_in(store_);
        Definitions all = store_.load();
        if (all.vhosts.empty()) all.vhosts.push_back({"/", "", {}, ""});
        const ChangeSet changes = import_all(all, home_.catalog()->numbers(), 2).value();
        store_.add(all);
        for (Shard* shard : {&home_, &away_}) shard->apply(changes);
    }
    ~Broker() {
        for (Shard* shard : {&home_, &away_}) shard->clear();
        for (Shard* shard : {&home_, &away_}) shard->messages().flush();
    }

    CatalogStore& store() { return store_; }
    const View& view(int shard = 0) const { return shard == 0 ? home_.view() : away_.view(); }
    const Vhost& vhost(int shard = 0) const { return *view(shard).vhost("/"); }
    const QueueInfo* queue(const std::string& name, int shard = 0) const {
        return view(shard).queue(vhost(shard), name);
    }

    std::optional<Refusal> ask(CatalogRequest request) { return ask_together({std::move(request)})[0]; }
    std::vector<std::optional<Refusal>> ask_together(std::vector<CatalogRequest> requests) {
        std::vector<std::optional<Refusal>> answers(requests.size());
        {
            Asking asking(home_, answers);
            for (std::size_t i = 0; i < requests.size(); ++i)
                home_.catalog()->submit(std::move(requests[i]), {asking.id, static_cast<std::uint32_t>(i)});
            for (int turn = 0; turn < 20; ++turn)
                for (Shard* shard : {&home_, &away_}) {
                    shard->take_mail();
                    if (shard == &home_) shard->catalog()->work();
                    shard->end_turn();
                }
        }
        return answers;
    }

    std::optional<Refusal> declare(const std::string& name, bool durable = true, ShardIndex home = 0) {
        return ask(queue_request(name, durable, home));
    }
    static CatalogRequest queue_request(const std::string& name, bool durable = true, ShardIndex home = 0) {
        return request::DeclareQueue{{.vhost = 0, .name = name, .home = home, .durable = durable}};
    }
    static CatalogRequest exchange_request(
        const std::string& name, bool durable = true,
        trilby::routing::ExchangeType type = trilby::routing::ExchangeType::topic) {
        return request::DeclareExchange{{.vhost = 0, .name = name, .type = type, .durable = durable}};
    }
    static CatalogRequest bind_request(const std::string& source, const std::string& queue,
                                       const std::string& key = "k", const std::string& arguments = {}) {
        return request::Bind{{0, source, queue, true, key, arguments}};
    }
    static CatalogRequest unbind_request(const std::string& source, const std::string& queue,
                                         const std::string& key = "k", const std::string& arguments = {}) {
        return request::Unbind{{0, source, queue, true, key, arguments}};
    }
    CatalogRequest delete_request(const std::string& name) { return request::DeleteQueue{queue(name)->id}; }

  private:
    NoLoop loop_;
    Settings settings_{};
    CatalogStore store_;
    Shard home_;
    Shard away_;
};

constexpr std::optional<Refusal> done;

/// While it lives no file grows: every write past `size` fails, as on a full disk.
class FullDisk {
  public:
    explicit FullDisk(rlim_t size) {
        before_ = std::signal(SIGXFSZ, SIG_IGN);
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &limit_) == 0);
        const rlimit small{size, limit_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
    }
    ~FullDisk() {
        ::setrlimit(RLIMIT_FSIZE, &limit_);
        std::signal(SIGXFSZ, before_);
    }

  private:
    rlimit limit_{};
    void (*before_)(int) = nullptr;
};

/// The sentence with which a file is refused, which has to leave it and what stands beside it as they are.
std::string refusal_of(const std::filesystem::path& file) {
    const auto beside = [&] {
        std::vector<std::string> all;
        for (const char* suffix : {"", "-wal"}) all.push_back(bytes_of(file.string() + suffix));
        return all;
    };
    const auto before = beside();
    std::string said = "accepted";
    try {
        CatalogStore store(file);
        store.load();
    } catch (const std::runtime_error& error) {
        said = error.what();
    }
    if (said != "accepted") CHECK(beside() == before);
    return said;
}

}  // namespace

TEST_CASE("every section is read back as it was stored") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    const Definitions all = everything();
    {
        CatalogStore store(file);
        CHECK(store.empty());
        CHECK(store.last_queue_id() == 0);
        store.add(all);
        CHECK(store.load() == all);
    }
    CatalogStore store(file);
    CHECK_FALSE(store.empty());
    CHECK(store.load() == all);
    CHECK(store.last_queue_id() == 4);
    CHECK((std::filesystem::status(file).permissions() & std::filesystem::perms(077)) ==
          std::filesystem::perms::none);
}

TEST_CASE("a name may hold any bytes") {
    TemporaryFolder folder;
    Definitions all;
    const std::string odd("\0'\"\n\xFF%\xC3", 7);
    all.vhosts = {{odd, odd, {"a b"}, ""}};
    all.queues = {{odd, odd, true, false, "", 1}, {odd, odd.substr(0, 6), true, false, "", 2}};
    all.bindings = {{odd, "amq.topic", odd, true, odd, ""}, {odd, "amq.topic", odd, true, odd.substr(1), ""}};
    CatalogStore store(folder.path() / "catalog.sqlite");
    store.add(all);
    CHECK(store.load() == all);
}

TEST_CASE("what is added replaces what can change and keeps what cannot") {
    TemporaryFolder folder;
    const Definitions before = everything();
    Definitions added;
    added.vhosts = {{"/", "new", {"t"}, "classic"}};
    added.users = {{"bodhi", "", "rabbit_password_hashing_sha512", {"management"}, ""}};
    added.permissions = {{"bodhi", "/", "n", "n", "n"}};
    added.topic_permissions = {{"bodhi", "/pubsub", "amq.topic", "n", "n"}};
    added.exchanges = {{"/", "x", "direct", true, true, false, ""},
                       {"/", "z", "direct", true, false, false, ""}};
    added.queues = {{"/", "q", true, true, "", 0}, {"/", "new", true, false, "", 9}};
    // The first two are there, with the same arguments in another order.
    added.bindings = {
        {"/", "x", "q", true, "a.#", TableBuilder().integer32("i", 1).boolean("b", true).take()},
        {"/", "x", "y", false, "", ""},
        {"/", "z", "new", true, "", ""}};
    added.policies = {{"/", "HA", "{}"}};
    added.parameters = {{"/", "one", "{}", "shovel"}};
    added.global_parameters = {{"", "cluster_name", "{}"}, {"", "other", "{}"}};

    Definitions expected = before;
    expected.vhosts[0] = added.vhosts[0];
    expected.users[0] = added.users[0];
    expected.permissions[0] = added.permissions[0];
    expected.topic_permissions[0] = added.topic_permissions[0];
    expected.exchanges.push_back(added.exchanges[1]);
    expected.queues.push_back(added.queues[1]);
    expected.bindings.push_back(added.bindings[2]);
    expected.policies[0] = added.policies[0];
    expected.parameters[0] = added.parameters[0];
    expected.global_parameters[0] = added.global_parameters[0];
    expected.global_parameters.push_back(added.global_parameters[1]);

    Definitions all = before;
    merge(all, added);
    CHECK(all == expected);

    // The file has them in another order: what is replaced comes last.
    CatalogStore store(folder.path() / "catalog.sqlite");
    store.add(before);
    store.add(all);
    Definitions stored = store.load();
    Definitions again = stored;
    merge(again, expected);
    CHECK(again == stored);
    CHECK(stored.exchanges == expected.exchanges);
    CHECK(stored.queues == expected.queues);
    CHECK(stored.bindings == expected.bindings);
    CHECK(stored.vhosts.size() == 2);
    CHECK(stored.parameters.size() == 2);
}

TEST_CASE("only what is durable is stored, and bindings between durable things") {
    TemporaryFolder folder;
    Broker broker(folder.path() / "catalog.sqlite");
    CHECK(broker.ask(Broker::exchange_request("kept")) == done);
    CHECK(broker.ask(Broker::exchange_request("fleeting", false)) == done);
    CHECK(broker.declare("kept") == done);
    CHECK(broker.declare("fleeting", false) == done);
    CHECK(broker.declare("far", true, 1) == done);
    for (const char* source : {"kept", "fleeting", "amq.topic"})
        for (const char* queue : {"kept", "fleeting", "far"})
            CHECK(broker.ask(Broker::bind_request(source, queue)) == done);
    const Definitions stored = broker.store().load();
    CHECK(stored.exchanges ==
          std::vector<ExchangeDefinition>{{"/", "kept", "topic", true, false, false, ""}});
    REQUIRE(stored.queues.size() == 2);
    CHECK(stored.queues[0].name == "kept");
    CHECK(stored.queues[1].name == "far");
    CHECK(stored.bindings == std::vector<BindingDefinition>{{"/", "kept", "kept", true, "k", ""},
                                                            {"/", "kept", "far", true, "k", ""},
                                                            {"/", "amq.topic", "kept", true, "k", ""},
                                                            {"/", "amq.topic", "far", true, "k", ""}});
}

TEST_CASE("bindings go with their queue and with their exchange at either end") {
    TemporaryFolder folder;
    Broker broker(folder.path() / "catalog.sqlite");
    for (const char* name : {"a", "b"}) {
        CHECK(broker.ask(Broker::exchange_request(name)) == done);
        CHECK(broker.declare(name) == done);
    }
    for (const char* source : {"a", "b"})
        for (const char* queue : {"a", "b"}) CHECK(broker.ask(Broker::bind_request(source, queue)) == done);
    CHECK(broker.ask(request::Bind{{0, "a", "b", false, "", {}}}) == done);
    CHECK(broker.store().load().bindings.size() == 5);
    CHECK(broker.ask(broker.delete_request("a")) == done);
    CHECK(broker.store().load().bindings.size() == 3);
    CHECK(broker.ask(request::DeleteExchange{0, "b", false}) == done);
    CHECK(broker.store().load().bindings == std::vector<BindingDefinition>{{"/", "a", "b", true, "k", ""}});
    CHECK(broker.store().load().queues.size() == 1);
    CHECK(broker.store().load().exchanges.size() == 1);
}

TEST_CASE("an exchange that goes with its last binding is gone from the file too") {
    TemporaryFolder folder;
    Broker broker(folder.path() / "catalog.sqlite");
    CHECK(broker.declare("q") == done);
    CHECK(broker.ask(request::DeclareExchange{{.vhost = 0,
                                               .name = "x",
                                               .type = trilby::routing::ExchangeType::topic,
                                               .durable = true,
                                               .auto_delete = true}}) == done);
    CHECK(broker.ask(Broker::bind_request("x", "q")) == done);
    CHECK(broker.ask(broker.delete_request("q")) == done);
    CHECK(broker.store().load().exchanges.empty());
    CHECK(broker.store().load().bindings.empty());
}

TEST_CASE("a binding is unbound with its arguments in any order") {
    TemporaryFolder folder;
    Broker broker(folder.path() / "catalog.sqlite");
    for (const char* queue : {"a", "b"}) CHECK(broker.declare(queue) == done);
    const std::string one = TableBuilder().string("x", "1").string("y", "2").take();
    const std::string other = TableBuilder().string("y", "2").string("x", "1").take();
    CHECK(broker.ask(Broker::bind_request("amq.headers", "a", "", one)) == done);
    CHECK(broker.ask(Broker::bind_request("amq.headers", "b", "", other)) == done);
    CHECK(broker.ask(Broker::bind_request("amq.headers", "a", "", other)) == done);
    CHECK(broker.store().load().bindings.size() == 2);
    CHECK(broker.ask(Broker::unbind_request("amq.headers", "a", "", other)) == done);
    CHECK(broker.store().load().bindings.size() == 1);
    CHECK(broker.ask(Broker::unbind_request("amq.headers", "b", "", other)) == done);
    CHECK(broker.store().load().bindings.empty());
}

TEST_CASE("the id of a durable queue is never given again") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    std::uint64_t last = 0;
    for (int start = 0; start < 3; ++start) {
        Broker broker(file);
        CHECK(broker.store().last_queue_id() == last);
        CHECK(broker.declare("q") == done);
        const std::uint64_t id = broker.store().load().queues.at(0).id;
        CHECK(id > last);
        last = id;
        CHECK(broker.ask(broker.delete_request("q")) == done);
        CHECK(broker.store().load().queues.empty());
    }
}

TEST_CASE("a queue has its id over a restart, in every view") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    const auto number = [](const QueueInfo* queue) { return std::to_underlying(queue->id) >> slot_bits; };
    std::uint64_t id = 0;
    {
        Broker broker(file);
        for (const char* queue : {"a", "b", "c"}) CHECK(broker.declare(queue) == done);
        CHECK(broker.ask(broker.delete_request("a")) == done);
        id = number(broker.queue("c"));
    }
    Broker broker(file);
    CHECK(number(broker.queue("c")) == id);
    CHECK(broker.queue("c", 1)->id == broker.queue("c", 0)->id);
    CHECK(broker.queue("a") == nullptr);
    CHECK(broker.declare("d") == done);
    CHECK(number(broker.queue("d")) == id + 1);
}

TEST_CASE("what one transaction holds is declared, bound and deleted in the order it was asked for") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    {
        Broker broker(file);
        std::vector<CatalogRequest> requests;
        for (int i = 0; i < 50; ++i) {
            const std::string name = fmt::format("q{}", i);
            requests.push_back(Broker::queue_request(name, true, static_cast<ShardIndex>(i % 2)));
            requests.push_back(Broker::bind_request("amq.topic", name));
            requests.push_back(Broker::queue_request(name));
            if (i % 5 == 0) requests.push_back(Broker::unbind_request("amq.topic", name));
        }
        const auto answers = broker.ask_together(std::move(requests));
        CHECK(std::ranges::count(answers, Refusal::exists) == 50);
        CHECK(std::ranges::count(answers, done) == 110);
    }
    Broker broker(file);
    const Definitions stored = broker.store().load();
    CHECK(stored.queues.size() == 50);
    CHECK(stored.bindings.size() == 40);
    for (int shard : {0, 1}) CHECK(broker.vhost(shard).routes.bindings() == 40);
}

TEST_CASE("what the disk does not take is refused, and nothing of it is seen") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    Broker broker(file);
    CHECK(broker.declare("before") == done);
    const Definitions before = broker.store().load();
    {
        FullDisk full(1);
        CHECK(broker.declare("near") == Refusal::not_stored);
        CHECK(broker.declare("far", true, 1) == Refusal::not_stored);
        CHECK(broker.ask(Broker::exchange_request("x")) == Refusal::not_stored);
        CHECK(broker.ask(Broker::bind_request("amq.topic", "before")) == Refusal::not_stored);
        const auto answers = broker.ask_together({Broker::queue_request("together"),
                                                  Broker::bind_request("amq.topic", "together"),
                                                  Broker::exchange_request("together")});
        CHECK(answers == std::vector<std::optional<Refusal>>(3, Refusal::not_stored));
        // Nothing of this goes to the disk.
        CHECK(broker.declare("fleeting", false) == done);
        CHECK(broker.declare("before") == Refusal::exists);
    }
    for (int shard : {0, 1}) {
        for (const char* queue : {"near", "far", "together"}) CHECK(broker.queue(queue, shard) == nullptr);
        for (const char* exchange : {"x", "together"})
            CHECK(broker.vhost(shard).exchange(exchange) == nullptr);
        CHECK(broker.queue("fleeting", shard) != nullptr);
        CHECK(broker.vhost(shard).routes.bindings() == 0);
    }
    CHECK(broker.store().load() == before);

    // There is room again, and the places of what was refused are used again.
    for (const char* queue : {"near", "far", "together"}) CHECK(broker.declare(queue) == done);
    CHECK(broker.ask(Broker::exchange_request("x")) == done);
    CHECK(broker.ask(Broker::bind_request("x", "near")) == done);
    for (const char* queue : {"near", "far", "together"}) CHECK(slot_of(broker.queue(queue)->id) < 5);
    CHECK(broker.store().load().queues.size() == 4);
}

TEST_CASE("what was deleted when the disk did not take it is gone everywhere, and may come again") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    {
        Broker broker(file);
        for (const char* name : {"a", "b"}) {
            CHECK(broker.ask(Broker::exchange_request(name)) == done);
            CHECK(broker.declare(name) == done);
            CHECK(broker.ask(Broker::bind_request(name, name)) == done);
            CHECK(broker.ask(Broker::bind_request(name, name, "other")) == done);
        }
        const std::string old_id = std::to_string(std::to_underlying(broker.queue("a")->id));
        {
            FullDisk full(1);
            CHECK(broker.ask(broker.delete_request("a")) == Refusal::not_stored);
            CHECK(broker.ask(request::DeleteExchange{0, "a", false}) == Refusal::not_stored);
            CHECK(broker.ask(Broker::unbind_request("b", "b")) == Refusal::not_stored);
            CHECK(broker.ask_together({broker.delete_request("b"), Broker::queue_request("b")}) ==
                  std::vector<std::optional<Refusal>>(2, Refusal::not_stored));
        }
        for (int shard : {0, 1}) {
            CHECK(broker.queue("a", shard) == nullptr);
            CHECK(broker.queue("b", shard) == nullptr);
            CHECK(broker.vhost(shard).exchange("a") == nullptr);
            CHECK(broker.vhost(shard).routes.bindings() == 0);
        }
        // Again, and different from what the file still has.
        CHECK(broker.declare("a", true, 1) == done);
        CHECK(broker.ask(Broker::exchange_request("a", true, trilby::routing::ExchangeType::direct)) == done);
        CHECK(broker.ask(Broker::bind_request("a", "a", "new")) == done);
        CHECK(std::to_string(std::to_underlying(broker.queue("a", 1)->id)) != old_id);
    }
    Broker broker(file);
    const Definitions stored = broker.store().load();
    REQUIRE(stored.queues.size() == 2);
    CHECK(stored.queues[0].name == "b");
    CHECK(stored.queues[1].name == "a");
    CHECK(broker.vhost().exchange("a")->type == trilby::routing::ExchangeType::direct);
    CHECK(std::ranges::count(stored.bindings, BindingDefinition{"/", "a", "a", true, "new", ""}) == 1);
    CHECK(std::ranges::count_if(stored.bindings, [](const auto& one) { return one.source == "a"; }) == 1);
}

TEST_CASE("a file that holds something else is refused and left alone") {
    TemporaryFolder folder;
    const auto seed = test::random_seed();
    INFO("seed ", seed);
    trilby::broker::test::Random random(seed);
    std::string noise(8192, '\0');
    for (char& byte : noise) byte = static_cast<char>(random());
    CHECK(refusal_of(folder.write("noise", noise)).find("is damaged: ") != std::string::npos);
    CHECK(refusal_of(folder.write("text", "[catalog]\n")).find("is damaged: ") != std::string::npos);

    const auto foreign = folder.path() / "foreign";
    {
        sqlite::Database other(foreign);
        other.execute("CREATE TABLE notes(text); INSERT INTO notes VALUES('mine')");
    }
    CHECK(refusal_of(foreign) ==
          fmt::format("the catalog {} is not a catalog of Trilby; nothing was changed", foreign.string()));
    for (const char* pragma :
         {"PRAGMA user_version = 1", "PRAGMA user_version = 0; PRAGMA application_id = 7"}) {
        sqlite::Database(foreign).execute(pragma);
        CHECK(refusal_of(foreign).find("is not a catalog of Trilby") != std::string::npos);
    }
    // What nobody writes, but somebody with an editor might.
    sqlite::Database(foreign).execute("PRAGMA application_id = 1416784994; PRAGMA user_version = -3");
    CHECK(refusal_of(foreign).find("is not a catalog of Trilby") != std::string::npos);

    std::filesystem::create_directory(folder.path() / "directory");
    CHECK_THROWS_AS(CatalogStore(folder.path() / "directory"), std::runtime_error);
}

TEST_CASE("a file that was cut off is refused and left alone") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    { CatalogStore(file).add(everything()); }
    const std::string whole = bytes_of(file);
    REQUIRE(whole.size() > 8192);
    for (std::size_t size = 1; size < whole.size(); size += size < 200 ? 1 : 1000) {
        CAPTURE(size);
        const std::string said = refusal_of(folder.write("cut", whole.substr(0, size)));
        // Whose it is stands in the first 72 octets.
        CHECK((said.find("is damaged: ") != std::string::npos ||
               (size < 72 && said.find("is not a catalog of Trilby") != std::string::npos)));
    }
    // A page that is overwritten.
    std::string holed = whole;
    holed.replace(4096, 4096, std::string(4096, '\x55'));
    CHECK(refusal_of(folder.write("holed", holed)).find("is damaged: ") != std::string::npos);
}

TEST_CASE("the file of a newer Trilby is refused and left alone, with what its log holds") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    { CatalogStore(file).add(everything()); }
    const std::string said = fmt::format(
        "the catalog {} was written by a newer Trilby (layout 99, this one knows {}); nothing was changed",
        file.string(), CatalogStore::schema_version);
    {
        sqlite::Database newer(file);  // what it writes stays in the log
        newer.execute("PRAGMA user_version = 99");
    }
    REQUIRE(bytes_of(file.string() + "-wal").size() > 0);
    CHECK(refusal_of(file) == said);
    sqlite::Database(file).execute("PRAGMA wal_checkpoint(TRUNCATE)");
    CHECK(refusal_of(file) == said);
}

TEST_CASE("a file of each earlier layout is brought forward and has what it had") {
    TemporaryFolder folder;
    for (int version = 1; version <= CatalogStore::schema_version; ++version) {
        const std::string name = fmt::format("layout-{}.sqlite", version);
        // Once for a new layout: TRILBY_WRITE_CATALOG=1, and the file goes into the tree.
        if (version == CatalogStore::schema_version && std::getenv("TRILBY_WRITE_CATALOG") != nullptr) {
            std::filesystem::remove(stored_catalog(name));
            CatalogStore(stored_catalog(name)).add(everything());
        }
        const auto file = folder.path() / name;
        REQUIRE(std::filesystem::copy_file(stored_catalog(name), file));
        CatalogStore store(file);
        CHECK(store.load() == everything());
        CHECK(store.last_queue_id() == 4);
    }
}

TEST_CASE("a new catalog has a number for its journal, and one of before does not know its own") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    journal::Remembered first;
    {
        CatalogStore store(file);
        first = store.journal();
        CHECK(first.journal != 0);
        CHECK(first.sequence == 0);
        store.remember({first.journal, 17});
    }
    CHECK(CatalogStore(file).journal() == journal::Remembered{first.journal, 17});
    CHECK(CatalogStore(folder.path() / "another").journal().journal != first.journal);

    const auto older = folder.path() / "older.sqlite";
    REQUIRE(std::filesystem::copy_file(stored_catalog("layout-1.sqlite"), older));
    CHECK(CatalogStore(older).journal() == journal::Remembered{});
}

TEST_CASE("a catalog counts what was stored, and gives no number again that its journal knows") {
    TemporaryFolder folder;
    const auto file = folder.path() / "catalog.sqlite";
    {
        CatalogStore store(file);
        const std::uint64_t before = store.changes();
        store.commit();  // nothing
        CHECK(store.changes() == before);
        store.add(everything());
        CHECK(store.changes() == before + 1);
        store.catch_up(100, 50);
        CHECK(store.changes() > 100);
        CHECK(store.last_queue_id() == 50);
        store.catch_up(1, 2);
        CHECK(store.last_queue_id() == 50);
        CHECK(store.load() == everything());
    }
    CatalogStore again(file);
    CHECK(again.changes() > 100);
    CHECK(again.last_queue_id() == 50);
}
