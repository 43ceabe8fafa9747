// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Fedora's naming standard, from the proposal "Publish/Subscribe Notification for Fedora Infrastructure" of
// 2009:
//
//     org.fedoraproject.<service>[.<subdomain>…].<signal>
//
// Today an environment word (prod, stg, dev) may stand behind the authority. Keys that do not follow the
// standard are routed like any others; nothing here is enforced.

namespace trilby::routing {

inline constexpr std::string_view authority = "org.fedoraproject";
inline constexpr std::array<std::string_view, 3> environments = {"prod", "stg", "dev"};

/// Whether a word may stand in a name: ASCII letters, digits, '-' and '_', at least one.
bool valid_name_word(std::string_view word);

/// Who may send something: a service, or a part of it.
class Domain {
  public:
    /// The error says what is wrong, as a sentence.
    static std::expected<Domain, std::string> parse(std::string_view name);

    std::optional<std::string_view> environment() const;
    std::string_view service() const { return words_[0]; }
    /// From the widest on.
    std::vector<std::string_view> subdomains() const { return {words_.begin() + 1, words_.end()}; }
    std::string text() const;

    /// Whether the other is this domain or one of its subdomains. A domain without an environment holds those
    /// with any; one with an environment holds those with the same.
    bool contains(const Domain& other) const;

    friend bool operator==(const Domain&, const Domain&) = default;

  private:
    friend struct SignalName;

    std::string environment_;         // empty: none
    std::vector<std::string> words_;  // the service and its subdomains
};

/// The routing key of one message: a signal of a domain.
struct SignalName {
    Domain domain;
    std::string signal;

    /// The error says what is wrong, as a sentence.
    static std::expected<SignalName, std::string> parse(std::string_view key);
    std::string text() const { return domain.text() + '.' + signal; }

    friend bool operator==(const SignalName&, const SignalName&) = default;
};

/// The domain that a key belongs to: all but its last word. Nothing if the key does not follow the standard.
std::optional<Domain> domain_of(std::string_view key);

}  // namespace trilby::routing
