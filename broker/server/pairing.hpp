// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "broker/journal/recovery.hpp"

namespace trilby::broker {

class CatalogStore;
class DataDirectory;

// The catalog and the journal of a data directory belong together: a message is of use only with its queue.
// The catalog remembers the journal's number and a batch that there must be; the journal knows how many
// changes the catalog had stored, and the newest queue. Neither is written for each message, so both are
// lower bounds.

/// Throws std::runtime_error with a sentence for the operator: segments are there, and the catalog is not, or
/// is empty. To be asked before one is made.
void refuse_lost_catalog(const DataDirectory& directory);

/// What is wrong between them, a sentence each; none: they belong together.
struct Mismatch {
    bool foreign = false;        // the journal is another one: its queues' numbers mean other queues
    bool older_catalog = false;  // than the journal
    std::vector<std::string> sentences;
};
Mismatch mismatch_of(CatalogStore& catalog, const journal::State& journal,
                     const std::vector<journal::Damage>& damages);

/// Throws std::runtime_error with all of it, and what to do.
[[noreturn]] void refuse(const Mismatch& mismatch, const std::filesystem::path& directory);

/// Renames the journal's folder to one that is not looked at, "journal.aside"; its new path. Throws
/// std::system_error.
std::filesystem::path move_journal_aside(const DataDirectory& directory);

}  // namespace trilby::broker
