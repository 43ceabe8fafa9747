// SPDX-License-Identifier: Apache-2.0
#include "broker/definitions/entry.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "json/table.hpp"
#include "json/text.hpp"

namespace trilby::broker {
namespace {

using simdjson::dom::element;

constexpr std::size_t longest_name = 255;

/// Erlang has one empty list for lists and tables.
bool is_empty_list(element value) {
    simdjson::dom::array list;
    return value.get_array().get(list) == simdjson::SUCCESS && list.size() == 0;
}

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    return text;
}

bool has_undefined(std::string_view raw) {
    for (const auto& field : protocol::TableView(raw))
        if (field.value.as_string() == "undefined") return true;
    return false;
}

}  // namespace

std::string shown(element value) {
    constexpr std::size_t longest = 40;
    auto text = simdjson::to_string(value);
    if (text.size() <= longest) return text;
    auto size = longest;
    while ((text[size] & 0xC0) == 0x80) --size;  // not inside a character
    return text.substr(0, size) + "…";
}

DefinitionsEntry::DefinitionsEntry(std::string place, element value, std::string& error)
    : place_(std::move(place)), error_(error) {
    if (value.get_object().get(object_) != simdjson::SUCCESS)
        fail(fmt::format("must be an object, not {}", shown(value)), " ");
}

bool DefinitionsEntry::has(std::string_view key) {
    asked_.emplace(key);
    element value;
    return error_.empty() && object_.at_key(key).get(value) == simdjson::SUCCESS && !value.is_null();
}

bool DefinitionsEntry::find(std::string_view key, element& value) {
    if (has(key)) return object_.at_key(key).get(value) == simdjson::SUCCESS;
    fail(fmt::format("has no \"{}\"", key), " ");
    return false;
}

std::string DefinitionsEntry::text_of(std::string_view key, element value) {
    std::string_view result;
    if (value.get_string().get(result) != simdjson::SUCCESS)
        fail(fmt::format("\"{}\" must be a string, not {}", key, shown(value)));
    return json::octets_of(result);
}

std::string DefinitionsEntry::text(std::string_view key) {
    element value;
    return find(key, value) ? text_of(key, value) : std::string{};
}

std::string DefinitionsEntry::name(std::string_view key) {
    auto result = text(key);
    if (result.size() > longest_name)
        fail(fmt::format("\"{}\" is longer than the 255 bytes that a name may have", key));
    return result;
}

bool DefinitionsEntry::flag(std::string_view key) {
    element value;
    bool result = false;
    if (!find(key, value)) return result;
    if (value.get_bool().get(result) != simdjson::SUCCESS)
        fail(fmt::format("\"{}\" must be true or false, not {}", key, shown(value)));
    return result;
}

std::vector<std::string> DefinitionsEntry::tags() {
    std::vector<std::string> result;
    element value;
    if (!has("tags") || !find("tags", value)) return result;
    simdjson::dom::array list;
    if (value.get_array().get(list) == simdjson::SUCCESS) {
        for (const element tag : list) result.push_back(text_of("tags", tag));
        return result;
    }
    const auto joined = text_of("tags", value);
    for (std::size_t at = 0; at <= joined.size();) {
        const auto comma = std::min(joined.find(',', at), joined.size());
        const auto tag = trimmed(std::string_view{joined}.substr(at, comma - at));
        if (!tag.empty()) result.emplace_back(tag);
        at = comma + 1;
    }
    return result;
}

std::optional<DefinitionsEntry> DefinitionsEntry::inner(std::string_view key) {
    element value;
    if (!has(key) || !find(key, value) || is_empty_list(value)) return std::nullopt;
    return DefinitionsEntry{fmt::format("{}.{}", place_, key), value, error_};
}

std::string DefinitionsEntry::object(std::string_view key) {
    element value;
    if (!has(key) || !find(key, value) || is_empty_list(value)) return {};
    simdjson::dom::object object;
    if (value.get_object().get(object) == simdjson::SUCCESS)
        return object.size() == 0 ? "" : simdjson::to_string(value);
    fail(fmt::format("\"{}\" must be an object, not {}", key, shown(value)));
    return {};
}

std::string DefinitionsEntry::arguments(DefinitionsRemarks& remarks) {
    element value;
    const bool typed = has("argument_types");
    if (!has("arguments") || !find("arguments", value) || is_empty_list(value)) return {};
    simdjson::dom::object object;
    if (value.get_object().get(object) != simdjson::SUCCESS) {
        fail(fmt::format("\"arguments\" must be an object, not {}", shown(value)));
        return {};
    }
    std::optional<element> types;
    if (typed) types = object_.at_key("argument_types").value_unsafe();
    auto table = json::to_table(object, types);
    if (!table) {
        fail("\"arguments\": " + table.error());
        return {};
    }
    if (!types && has_undefined(*table))
        remarks.sentences.push_back(fmt::format(
            "{}: an argument is the text \"undefined\", as which RabbitMQ exports void and imports it "
            "again; if void is meant write null",
            place_));
    return *std::move(table);
}

std::string DefinitionsEntry::json(std::string_view vhost) const {
    if (!error_.empty()) return {};
    std::string text = "{";
    std::string_view separator;
    if (!vhost.empty()) {
        text += "\"vhost\":";
        json::append_string(text, vhost);
        separator = ",";
    }
    for (const auto& [name, value] : object_) {
        if (!vhost.empty() && name == "vhost") continue;
        text += separator;
        separator = ",";
        json::append_string(text, json::octets_of(name));
        text += ':' + simdjson::to_string(value);
    }
    return text + '}';
}

void DefinitionsEntry::fail(std::string_view what, std::string_view separator) {
    if (error_.empty()) error_ = fmt::format("{}{}{}", place_, separator, what);
}

void DefinitionsEntry::name_unknown(std::map<std::string, std::size_t>& unknown) const {
    for (const auto& [name, value] : object_)
        if (!asked_.contains(name)) ++unknown[std::string{name}];
}

}  // namespace trilby::broker
