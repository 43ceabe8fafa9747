// SPDX-License-Identifier: Apache-2.0
#include "broker/catalog/store.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <sqlite3.h>

#include "broker/catalog/statements.hpp"
#include "broker/catalog/view.hpp"
#include "routing/argument_pool.hpp"
#include "routing/exchange_type.hpp"
#include "routing/predeclared_exchanges.hpp"

namespace trilby::broker {

namespace {

/// "Trlb", so that file(1) and a newer Trilby know whose it is.
constexpr std::int64_t application_id = 0x54726C62;

/// Each brings the file one version forward; the last is the present layout. Never changed once released.
constexpr const char* migrations[] = {R"sql(
    CREATE TABLE vhosts(name TEXT PRIMARY KEY, description TEXT NOT NULL, tags TEXT NOT NULL,
                        default_queue_type TEXT NOT NULL);
    CREATE TABLE users(name TEXT PRIMARY KEY, password_hash TEXT NOT NULL, hashing_algorithm TEXT NOT NULL,
                       tags TEXT NOT NULL, limits TEXT NOT NULL);
    CREATE TABLE permissions(user TEXT, vhost TEXT, configure TEXT NOT NULL, write TEXT NOT NULL, read TEXT NOT NULL,
                             PRIMARY KEY(user, vhost));
    CREATE TABLE topic_permissions(user TEXT, vhost TEXT, exchange TEXT, write TEXT NOT NULL, read TEXT NOT NULL,
                                   PRIMARY KEY(user, vhost, exchange));
    CREATE TABLE exchanges(vhost TEXT, name TEXT, type TEXT NOT NULL, auto_delete INTEGER NOT NULL,
                           internal INTEGER NOT NULL, arguments BLOB NOT NULL, PRIMARY KEY(vhost, name));
    CREATE TABLE queues(id INTEGER PRIMARY KEY AUTOINCREMENT, vhost TEXT NOT NULL, name TEXT NOT NULL,
                        auto_delete INTEGER NOT NULL, arguments BLOB NOT NULL, UNIQUE(vhost, name));
    CREATE TABLE bindings(vhost TEXT, source TEXT, destination TEXT, to_queue INTEGER, routing_key TEXT, arguments BLOB,
                          PRIMARY KEY(vhost, destination, to_queue, source, routing_key, arguments));
    CREATE INDEX bindings_by_source ON bindings(vhost, source);
    CREATE TABLE kept(section TEXT, vhost TEXT, component TEXT, name TEXT, json TEXT NOT NULL,
                      PRIMARY KEY(section, vhost, component, name));
)sql",
                                      R"sql(
    CREATE TABLE journal(number INTEGER NOT NULL, sequence INTEGER NOT NULL, changes INTEGER NOT NULL);
    INSERT INTO journal VALUES(0, 0, 0);
)sql"};
static_assert(std::size(migrations) == CatalogStore::schema_version);

/// A list of words as one text. RabbitMQ's tags have no line ends.
std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) (text += word) += '\n';
    return text;
}
std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        words.push_back(text.substr(at, end - at));
        at = end == std::string::npos ? text.size() : end + 1;
    }
    return words;
}

std::int64_t row_id(QueueId id) {
    return static_cast<std::int64_t>(stored_id(id));
}

/// In one order, for a binding is unbound with its arguments in any.
template <class Binding>
std::string stored_arguments(const Binding& binding) {
    return routing::canonical(protocol::TableView(binding.arguments));
}

[[noreturn]] void refuse_file(const std::filesystem::path& file, std::string_view reason) {
    throw std::runtime_error(fmt::format("the catalog {} {}; nothing was changed", file.string(), reason));
}

}  // namespace

CatalogStore::CatalogStore(const std::filesystem::path& file) {
    try {
        statements_ = std::make_unique<CatalogStatements>(file);
        sqlite::Database& database = statements_->database;
        // Looked at before anything is written, the journal mode included.
        const std::int64_t version = database.pragma("user_version");
        const std::int64_t owner = database.pragma("application_id");
        // A file of a few octets is empty to SQLite, but somebody's.
        const bool fresh = version == 0 && owner == 0 && database.pragma("page_count") == 0 &&
                           std::filesystem::file_size(file) == 0;
        if (!fresh && (owner != application_id || version < 1))
            refuse_file(file, "is not a catalog of Trilby");
        if (version > schema_version)
            refuse_file(file, fmt::format("was written by a newer Trilby (layout {}, this one knows {})",
                                          version, schema_version));
        if (!fresh) {
            sqlite::Statement check(database, "PRAGMA quick_check(1)");
            if (const std::string said = check.step() ? check.text(0) : "nothing"; said != "ok")
                refuse_file(file, fmt::format("is damaged: {}", said));
        }
        database.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -512");
        migrate(version);
        sqlite::Statement changes(database, "SELECT changes FROM journal");
        if (changes.step()) changes_ = static_cast<std::uint64_t>(changes.integer(0));
        database.settle_when_closed(true);
    } catch (const sqlite::Error& error) {
        if (error.code == SQLITE_CORRUPT || error.code == SQLITE_NOTADB)
            refuse_file(file, fmt::format("is damaged: {}", error.what()));
        throw;
    }
}

CatalogStore::~CatalogStore() = default;

void CatalogStore::migrate(std::int64_t from) {
    if (from == schema_version) return;
    sqlite::Database& database = statements_->database;
    database.execute("BEGIN IMMEDIATE");
    for (std::int64_t version = from; version < schema_version; ++version)
        database.execute(migrations[version]);
    // Who was there before has a journal that it does not know yet.
    if (from == 0) database.execute("UPDATE journal SET number = random()");
    database.execute(fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT",
                                 application_id, schema_version)
                         .c_str());
}

void CatalogStore::begin() {
    ++staged_;
    if (!statements_->database.in_transaction()) statements_->database.execute("BEGIN IMMEDIATE");
}

void CatalogStore::commit() {
    sqlite::Database& database = statements_->database;
    if (!database.in_transaction()) return;
    try {
        database.execute("UPDATE journal SET changes = changes + 1");
        database.execute("COMMIT");
        ++changes_;
    } catch (const sqlite::Error&) {
        // A full disk leaves the transaction open, other errors have undone it already.
        forget();
        throw;
    }
}

void CatalogStore::forget() {
    if (statements_->database.in_transaction()) statements_->database.execute("ROLLBACK");
}

// ---- The whole.

bool CatalogStore::empty() {
    sqlite::Statement any(statements_->database, "SELECT 1 FROM vhosts LIMIT 1");
    return !any.step();
}

std::uint64_t CatalogStore::last_queue_id() {
    sqlite::Statement last(statements_->database, "SELECT seq FROM sqlite_sequence WHERE name = 'queues'");
    return last.step() ? static_cast<std::uint64_t>(last.integer(0)) : 0;
}

journal::Remembered CatalogStore::journal() {
    sqlite::Statement row(statements_->database, "SELECT number, sequence FROM journal");
    if (!row.step()) return {};
    return {static_cast<std::uint64_t>(row.integer(0)), static_cast<std::uint64_t>(row.integer(1))};
}

void CatalogStore::remember(journal::Remembered journal) {
    sqlite::Statement(statements_->database, "UPDATE journal SET number = ?, sequence = ?")
        .bind(static_cast<std::int64_t>(journal.journal), static_cast<std::int64_t>(journal.sequence))
        .run();
}

void CatalogStore::catch_up(std::uint64_t changes, std::uint64_t queue_id) {
    using sqlite::Statement;
    sqlite::Database& database = statements_->database;
    begin();
    try {
        changes_ = std::max(changes_, changes);
        Statement(database, "UPDATE journal SET changes = ?").bind(static_cast<std::int64_t>(changes_)).run();
        if (queue_id > last_queue_id()) {
            Statement(database, "DELETE FROM sqlite_sequence WHERE name = 'queues'").run();
            Statement(database, "INSERT INTO sqlite_sequence VALUES('queues', ?)")
                .bind(static_cast<std::int64_t>(queue_id))
                .run();
        }
    } catch (const sqlite::Error&) {
        forget();
        throw;
    }
    commit();
}

Definitions CatalogStore::load() {
    sqlite::Database& database = statements_->database;
    Definitions all;
    for (sqlite::Statement row(
             database, "SELECT name, description, tags, default_queue_type FROM vhosts ORDER BY rowid");
         row.step();)
        all.vhosts.push_back({row.text(0), row.text(1), split(row.text(2)), row.text(3)});
    for (sqlite::Statement row(
             database,
             "SELECT name, password_hash, hashing_algorithm, tags, limits FROM users ORDER BY rowid");
         row.step();)
        all.users.push_back({row.text(0), row.text(1), row.text(2), split(row.text(3)), row.text(4)});
    for (sqlite::Statement row(database,
                               "SELECT user, vhost, configure, write, read FROM permissions ORDER BY rowid");
         row.step();)
        all.permissions.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4)});
    for (sqlite::Statement row(
             database, "SELECT user, vhost, exchange, write, read FROM topic_permissions ORDER BY rowid");
         row.step();)
        all.topic_permissions.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4)});
    for (sqlite::Statement row(
             database,
             "SELECT vhost, name, type, auto_delete, internal, arguments FROM exchanges ORDER BY rowid");
         row.step();)
        all.exchanges.push_back({row.text(0), row.text(1), row.text(2), true, row.integer(3) != 0,
                                 row.integer(4) != 0, row.text(5)});
    for (sqlite::Statement row(database,
                               "SELECT id, vhost, name, auto_delete, arguments FROM queues ORDER BY id");
         row.step();)
        all.queues.push_back({.vhost = row.text(1),
                              .name = row.text(2),
                              .durable = true,
                              .auto_delete = row.integer(3) != 0,
                              .arguments = row.text(4),
                              .id = static_cast<std::uint64_t>(row.integer(0))});
    for (sqlite::Statement row(
             database,
             "SELECT vhost, source, destination, to_queue, routing_key, arguments FROM bindings "
             "ORDER BY rowid");
         row.step();)
        all.bindings.push_back(
            {row.text(0), row.text(1), row.text(2), row.integer(3) != 0, row.text(4), row.text(5)});
    for (sqlite::Statement row(database,
                               "SELECT section, vhost, component, name, json FROM kept ORDER BY rowid");
         row.step();) {
        const std::string section = row.text(0);
        auto& list = section == "policies"     ? all.policies
                     : section == "parameters" ? all.parameters
                                               : all.global_parameters;
        list.push_back({row.text(1), row.text(3), row.text(4), row.text(2)});
    }
    return all;
}

void CatalogStore::add(const Definitions& definitions) {
    using sqlite::Statement;
    sqlite::Database& database = statements_->database;
    begin();
    try {
        Statement vhost(database, "INSERT OR REPLACE INTO vhosts VALUES(?, ?, ?, ?)");
        for (const auto& one : definitions.vhosts)
            vhost.bind(one.name, one.description, joined(one.tags), one.default_queue_type).run();
        Statement user(database, "INSERT OR REPLACE INTO users VALUES(?, ?, ?, ?, ?)");
        for (const auto& one : definitions.users)
            user.bind(one.name, one.password_hash, one.hashing_algorithm, joined(one.tags), one.limits).run();
        Statement permission(database, "INSERT OR REPLACE INTO permissions VALUES(?, ?, ?, ?, ?)");
        for (const auto& one : definitions.permissions)
            permission.bind(one.user, one.vhost, one.configure, one.write, one.read).run();
        Statement topic(database, "INSERT OR REPLACE INTO topic_permissions VALUES(?, ?, ?, ?, ?)");
        for (const auto& one : definitions.topic_permissions)
            topic.bind(one.user, one.vhost, one.exchange, one.write, one.read).run();
        for (const auto& one : definitions.exchanges)
            if (one.durable && !routing::is_predeclared(one.name))
                statements_->add_exchange()
                    .bind(one.vhost, one.name, one.type, one.auto_delete, one.internal, one.arguments)
                    .run();
        for (const auto& one : definitions.queues)
            if (one.durable)
                statements_->add_queue()
                    .bind(static_cast<std::int64_t>(one.id), one.vhost, one.name, one.auto_delete,
                          one.arguments)
                    .run();
        // Only between what is stored: the definitions need not name again what was there before.
        Statement binding(database,
                          "INSERT OR IGNORE INTO bindings SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE "
                          "(?7 OR EXISTS(SELECT 1 FROM exchanges WHERE vhost = ?1 AND "
                          "name = ?2)) AND "
                          "CASE WHEN ?4 THEN EXISTS(SELECT 1 FROM queues WHERE vhost = ?1 AND name = ?3) "
                          "ELSE ?8 OR EXISTS(SELECT 1 FROM exchanges WHERE vhost = ?1 "
                          "AND name = ?3) END");
        for (const auto& one : definitions.bindings)
            if (!one.source.empty())
                binding
                    .bind(one.vhost, one.source, one.destination, one.destination_is_queue, one.routing_key,
                          stored_arguments(one), routing::is_predeclared(one.source),
                          routing::is_predeclared(one.destination))
                    .run();
        Statement kept(database, "INSERT OR REPLACE INTO kept VALUES(?, ?, ?, ?, ?)");
        const auto keep = [&](std::string_view section, const std::vector<VerbatimDefinition>& list) {
            for (const auto& one : list)
                kept.bind(section, one.vhost, one.component, one.name, one.json).run();
        };
        keep("policies", definitions.policies);
        keep("parameters", definitions.parameters);
        keep("global_parameters", definitions.global_parameters);
    } catch (const sqlite::Error&) {
        forget();
        throw;
    }
    commit();
}

// ---- Changes of the running broker.

void CatalogStore::stage(const Change& change, const View& view) {
    std::visit([&](const auto& one) { stage_one(one, view); }, change);
}

template <class Add, class Delete>
void CatalogStore::add_afresh(Add add, Delete delete_old) {
    add();
    if (statements_->database.changed() != 0) return;
    // One that was deleted when that could not be stored.
    delete_old();
    add();
}

void CatalogStore::stage_one(const change::DeclareExchange& declared, const View& view) {
    if (!declared.durable) return;
    begin();
    const std::string& vhost = view.vhost(declared.vhost).name;
    add_afresh(
        [&] {
            statements_->add_exchange()
                .bind(vhost, declared.name, name_of(declared.type), declared.auto_delete, declared.internal,
                      declared.arguments.raw())
                .run();
        },
        [&] { delete_exchange(vhost, declared.name); });
}

void CatalogStore::stage_one(const change::DeleteExchange& deleted, const View& view) {
    const Vhost& vhost = view.vhost(deleted.vhost);
    const ExchangeInfo* exchange = vhost.exchange(deleted.name);
    if (exchange == nullptr || !exchange->durable) return;
    begin();
    delete_exchange(vhost.name, deleted.name);
}

void CatalogStore::delete_exchange(std::string_view vhost, std::string_view name) {
    statements_->delete_bindings_from().bind(vhost, name).run();
    statements_->delete_bindings_to().bind(vhost, name, false).run();
    statements_->delete_exchange().bind(vhost, name).run();
}

void CatalogStore::stage_one(const change::DeclareQueue& declared, const View& view) {
    if (!declared.durable) return;
    begin();
    const std::string& vhost = view.vhost(declared.vhost).name;
    add_afresh(
        [&] {
            statements_->add_queue()
                .bind(row_id(declared.id), vhost, declared.name, declared.auto_delete,
                      declared.arguments.raw())
                .run();
        },
        [&] { delete_queue(vhost, declared.name); });
}

void CatalogStore::stage_one(const change::DeleteQueue& deleted, const View& view) {
    const QueueInfo* queue = view.queue(deleted.id);
    if (queue == nullptr || !queue->durable) return;
    begin();
    delete_queue(view.vhost(queue->vhost).name, queue->name);
}

void CatalogStore::delete_queue(std::string_view vhost, std::string_view name) {
    statements_->delete_bindings_to().bind(vhost, name, true).run();
    statements_->delete_queue().bind(vhost, name).run();
}

namespace {
template <class Binding>
bool is_durable(const Binding& binding, const View& view) {
    const Vhost& vhost = view.vhost(binding.vhost);
    const ExchangeInfo* source = vhost.exchange(binding.source);
    if (source == nullptr || !source->durable) return false;
    if (binding.to_queue) {
        const QueueInfo* queue = view.queue(vhost, binding.destination);
        return queue != nullptr && queue->durable;
    }
    const ExchangeInfo* exchange = vhost.exchange(binding.destination);
    return exchange != nullptr && exchange->durable;
}
}  // namespace

void CatalogStore::stage_one(const change::Bind& bound, const View& view) {
    if (!is_durable(bound, view)) return;
    begin();
    statements_->add_binding()
        .bind(view.vhost(bound.vhost).name, bound.source, bound.destination, bound.to_queue,
              bound.routing_key, stored_arguments(bound))
        .run();
}

void CatalogStore::stage_one(const change::Unbind& unbound, const View& view) {
    if (!is_durable(unbound, view)) return;
    begin();
    statements_->delete_binding()
        .bind(view.vhost(unbound.vhost).name, unbound.source, unbound.destination, unbound.to_queue,
              unbound.routing_key, stored_arguments(unbound))
        .run();
}

}  // namespace trilby::broker
