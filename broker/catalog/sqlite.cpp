// SPDX-License-Identifier: Apache-2.0
#include "broker/catalog/sqlite.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

namespace trilby::broker::sqlite {

// ---- Statement.

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
    if (sqlite3_prepare_v3(database.handle_, sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement_, nullptr) != SQLITE_OK)
        database_.fail(sql);
}

Statement::~Statement() {
    sqlite3_finalize(statement_);
}

void Statement::reset() {
    sqlite3_reset(statement_);
}

void Statement::bind_one(int at, std::string_view text) {
    // Never null, which would be SQL's NULL. What is bound outlives the step that reads it.
    const char* data = text.data() == nullptr ? "" : text.data();
    if (sqlite3_bind_text64(statement_, at, data, text.size(), SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK)
        database_.fail("binding a text");
}

void Statement::bind_one(int at, std::int64_t number) {
    if (sqlite3_bind_int64(statement_, at, number) != SQLITE_OK) database_.fail("binding a number");
}

bool Statement::step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) {
        sqlite3_reset(statement_);
        database_.fail(sqlite3_sql(statement_));
    }
    sqlite3_reset(statement_);
    return false;
}

void Statement::run() {
    while (step()) {
    }
}

std::string Statement::text(int column) const {
    const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return size == 0 ? std::string() : std::string(data, size);
}

std::int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(statement_, column);
}

// ---- Database.

Database::Database(const std::filesystem::path& path) : path_(path) {
    // SQLite would give the file, and those beside it, the mode that the umask leaves.
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file >= 0) ::close(file);
    if (sqlite3_open_v2(path.c_str(), &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) !=
        SQLITE_OK) {
        const std::string text = fmt::format("{}: {}", path.string(), sqlite3_errmsg(handle_));
        const int code = sqlite3_errcode(handle_);
        sqlite3_close(handle_);
        throw Error(code, text);
    }
    settle_when_closed(false);
}

Database::~Database() {
    sqlite3_close_v2(handle_);
}

void Database::execute(const char* sql) {
    if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
}

std::int64_t Database::pragma(const char* name) {
    Statement statement(*this, fmt::format("PRAGMA {}", name));
    return statement.step() ? statement.integer(0) : 0;
}

bool Database::in_transaction() const {
    return sqlite3_get_autocommit(handle_) == 0;
}

std::int64_t Database::changed() const {
    return sqlite3_changes64(handle_);
}

void Database::settle_when_closed(bool yes) {
    sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, yes ? 0 : 1, nullptr);
}

void Database::fail(std::string_view doing) const {
    throw Error(sqlite3_errcode(handle_),
                fmt::format("{}: {} ({})", path_.string(), sqlite3_errmsg(handle_), doing.substr(0, 60)));
}

}  // namespace trilby::broker::sqlite
