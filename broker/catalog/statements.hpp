// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string_view>

#include "broker/catalog/sqlite.hpp"

namespace trilby::broker {

/// The catalog's file, and the statements that a running broker uses again and again.
class CatalogStatements {
  public:
    explicit CatalogStatements(const std::filesystem::path& file) : database(file) {}

    sqlite::Statement& add_exchange() {
        return prepared(add_exchange_, "INSERT OR IGNORE INTO exchanges VALUES(?, ?, ?, ?, ?, ?)");
    }
    sqlite::Statement& add_queue() {
        return prepared(add_queue_, "INSERT OR IGNORE INTO queues VALUES(?, ?, ?, ?, ?)");
    }
    sqlite::Statement& add_binding() {
        return prepared(add_binding_, "INSERT OR IGNORE INTO bindings VALUES(?, ?, ?, ?, ?, ?)");
    }
    sqlite::Statement& delete_exchange() {
        return prepared(delete_exchange_, "DELETE FROM exchanges WHERE vhost = ? AND name = ?");
    }
    sqlite::Statement& delete_queue() {
        return prepared(delete_queue_, "DELETE FROM queues WHERE vhost = ? AND name = ?");
    }
    sqlite::Statement& delete_binding() {
        return prepared(
            delete_binding_,
            "DELETE FROM bindings WHERE vhost = ? AND source = ? AND destination = ? AND to_queue = ? AND "
            "routing_key = ? AND arguments = ?");
    }
    sqlite::Statement& delete_bindings_from() {
        return prepared(delete_bindings_from_, "DELETE FROM bindings WHERE vhost = ? AND source = ?");
    }
    sqlite::Statement& delete_bindings_to() {
        return prepared(delete_bindings_to_,
                        "DELETE FROM bindings WHERE vhost = ? AND destination = ? AND to_queue = ?");
    }

    sqlite::Database database;

  private:
    // Prepared when first used: the tables must exist.
    sqlite::Statement& prepared(std::unique_ptr<sqlite::Statement>& statement, std::string_view sql) {
        if (statement == nullptr) statement = std::make_unique<sqlite::Statement>(database, sql);
        return *statement;
    }

    std::unique_ptr<sqlite::Statement> add_exchange_, add_queue_, add_binding_, delete_exchange_,
        delete_queue_, delete_binding_, delete_bindings_from_, delete_bindings_to_;
};

}  // namespace trilby::broker
