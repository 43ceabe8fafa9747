// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

namespace trilby::broker {

/// What an error quotes of a value that is not what it should be.
std::string shown(simdjson::dom::element value);

/// What there is to say of a document that is read all the same.
struct DefinitionsRemarks {
    /// By section, how many entries have a member that nobody asked for.
    std::map<std::string, std::map<std::string, std::size_t>> unknown;
    std::vector<std::string> sentences;
};

/// Reads the members of one entry of a definitions document. The first thing that is wrong stays in `error`,
/// with its place; reads after it yield empty values, so that it is asked for once, when the entry is
/// complete.
class DefinitionsEntry {
  public:
    DefinitionsEntry(std::string place, simdjson::dom::element value, std::string& error);

    /// What is null might as well not be there.
    bool has(std::string_view key);

    std::string text(std::string_view key);
    std::string text_or_empty(std::string_view key) { return has(key) ? text(key) : std::string{}; }

    /// Of a thing that is named on the wire, where 255 bytes fit.
    std::string name(std::string_view key);

    bool flag(std::string_view key);
    bool flag_or_false(std::string_view key) { return has(key) && flag(key); }

    /// A list of strings, or, as before RabbitMQ 3.9, one string with commas. Absent: none.
    std::vector<std::string> tags();

    /// An object in this one. None: absent.
    std::optional<DefinitionsEntry> inner(std::string_view key);

    /// The JSON of an object. Absent, or without a member: empty.
    std::string object(std::string_view key);

    /// A raw field table. Absent: empty.
    std::string arguments(DefinitionsRemarks& remarks);

    /// The JSON of the whole entry, with its "vhost" first unless that is empty.
    std::string json(std::string_view vhost) const;

    void fail(std::string_view what, std::string_view separator = ": ");

    /// Counts the members that were not asked for.
    void name_unknown(std::map<std::string, std::size_t>& unknown) const;

  private:
    bool find(std::string_view key, simdjson::dom::element& value);
    std::string text_of(std::string_view key, simdjson::dom::element value);

    std::string place_;
    simdjson::dom::object object_;
    std::set<std::string, std::less<>> asked_;
    std::string& error_;
};

}  // namespace trilby::broker
