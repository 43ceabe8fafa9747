// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace trilby::broker::sqlite {

/// What SQLite said, with the file or the statement. `code` is SQLite's primary result code.
class Error : public std::runtime_error {
  public:
    Error(int result, const std::string& text) : std::runtime_error(text), code(result) {}
    const int code;
};

class Database;

/// A prepared statement. Every function throws Error. One thread at a time.
class Statement {
  public:
    Statement(Database& database, std::string_view sql);
    ~Statement();
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    /// Parameters from the left; text is bytes, whatever they are.
    template <class... Values>
    Statement& bind(const Values&... values) {
        reset();
        int at = 0;
        (bind_one(++at, values), ...);
        return *this;
    }
    /// To the next row; false: there is none.
    bool step();
    /// For what returns no rows.
    void run();

    std::string text(int column) const;
    std::int64_t integer(int column) const;

  private:
    void reset();
    void bind_one(int at, std::string_view text);
    void bind_one(int at, std::int64_t number);
    void bind_one(int at, bool flag) { bind_one(at, std::int64_t{flag}); }

    Database& database_;
    sqlite3_stmt* statement_ = nullptr;
};

/// One connection to one file, made if it is not there, readable by its owner only.
class Database {
  public:
    explicit Database(const std::filesystem::path& path);
    ~Database();
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;

    const std::filesystem::path& path() const { return path_; }
    /// Statements without parameters, separated by semicolons.
    void execute(const char* sql);
    std::int64_t pragma(const char* name);
    /// Is a transaction open?
    bool in_transaction() const;
    /// Rows that the last statement inserted, deleted or updated.
    std::int64_t changed() const;
    /// Does the destructor carry the write-ahead log into the file? At first it leaves both as they are.
    void settle_when_closed(bool yes);

  private:
    friend class Statement;
    [[noreturn]] void fail(std::string_view doing) const;

    const std::filesystem::path path_;
    sqlite3* handle_ = nullptr;
};

}  // namespace trilby::broker::sqlite
