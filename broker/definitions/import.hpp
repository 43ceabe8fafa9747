// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "broker/definitions/definitions.hpp"

namespace trilby::broker {

/// What became of the entries of one section.
struct MergedSection {
    std::string_view name;
    std::size_t added = 0, changed = 0, equal = 0;
    std::vector<std::string>
        kept{};  // names of those that stay as they are, though they were to be different
};

/// As merge, and says what it did.
std::vector<MergedSection> merge_sections(Definitions& into, const Definitions& added);

struct DefinitionsImport {
    /// Empty: the document says of each thing in which virtual host it is.
    std::string vhost{};
    /// What is not durable is left out, for nothing else is stored.
    bool durable_only = false;
};

/// What an import did, for people.
struct DefinitionsReport {
    std::string from;  // the version that exported the document; empty: it does not say
    std::vector<MergedSection> sections;
    std::vector<std::string> remarks;  // what was left out or passed over: a sentence each

    /// "vhosts: 1 added, 2 equal", one for each section with something in it.
    std::vector<std::string> in_words() const;
};

/// Adds a document to what there is, as RabbitMQ would: a binding whose ends are not there is left out.
/// Queues that a client could not declare either are refused, in the same words. The error is for people, and
/// `all` is then as it was.
std::expected<DefinitionsReport, std::string> import_document(Definitions& all, std::string_view json,
                                                              const DefinitionsImport& how = {});

}  // namespace trilby::broker
