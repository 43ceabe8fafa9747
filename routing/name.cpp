// SPDX-License-Identifier: Apache-2.0
#include "routing/name.hpp"

#include <algorithm>

namespace trilby::routing {
namespace {

constexpr std::size_t longest_name = 255;  // of a routing key in AMQP

struct Parts {
    std::string environment;
    std::vector<std::string> words;
};

std::unexpected<std::string> wrong(std::string text) {
    return std::unexpected(std::move(text));
}

std::expected<Parts, std::string> split(std::string_view name) {
    if (name.size() > longest_name) return wrong("A name has at most 255 bytes.");
    if (!name.starts_with(authority) || (name.size() > authority.size() && name[authority.size()] != '.')) {
        return wrong("A name begins with " + std::string(authority) + ".");
    }
    Parts parts;
    while (name.size() > authority.size()) {
        const auto dot = name.rfind('.');
        const auto word = name.substr(dot + 1);
        if (!valid_name_word(word)) {
            return wrong("A word of a name has letters, digits, '-' and '_' only, and at least one.");
        }
        parts.words.emplace_back(word);
        name = name.substr(0, dot);
    }
    std::ranges::reverse(parts.words);
    if (!parts.words.empty() && std::ranges::find(environments, parts.words[0]) != environments.end()) {
        parts.environment = parts.words[0];
        parts.words.erase(parts.words.begin());
    }
    if (parts.words.empty()) return wrong("A name has a service behind " + std::string(authority) + ".");
    if (std::ranges::find(environments, parts.words[0]) != environments.end()) {
        return wrong("A service is not called like an environment.");
    }
    return parts;
}

}  // namespace

bool valid_name_word(std::string_view word) {
    return !word.empty() && std::ranges::all_of(word, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_';
    });
}

std::expected<Domain, std::string> Domain::parse(std::string_view name) {
    auto parts = split(name);
    if (!parts) return std::unexpected(parts.error());
    Domain domain;
    domain.environment_ = std::move(parts->environment);
    domain.words_ = std::move(parts->words);
    return domain;
}

std::optional<std::string_view> Domain::environment() const {
    return environment_.empty() ? std::nullopt : std::optional<std::string_view>(environment_);
}

std::string Domain::text() const {
    std::string text(authority);
    if (!environment_.empty()) text.append(1, '.').append(environment_);
    for (const auto& word : words_) text.append(1, '.').append(word);
    return text;
}

bool Domain::contains(const Domain& other) const {
    return (environment_.empty() || environment_ == other.environment_) &&
           words_.size() <= other.words_.size() &&
           std::equal(words_.begin(), words_.end(), other.words_.begin());
}

std::expected<SignalName, std::string> SignalName::parse(std::string_view key) {
    auto domain = Domain::parse(key);
    if (!domain) return std::unexpected(domain.error());
    if (domain->words_.size() < 2) return wrong("A routing key has a signal behind its service.");
    std::string signal = std::move(domain->words_.back());
    domain->words_.pop_back();
    return SignalName{std::move(*domain), std::move(signal)};
}

std::optional<Domain> domain_of(std::string_view key) {
    auto name = SignalName::parse(key);
    return name ? std::optional(std::move(name->domain)) : std::nullopt;
}

}  // namespace trilby::routing
