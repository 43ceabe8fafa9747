// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace trilby::auth {

/// A regular expression over bytes, searched for and not anchored, as RabbitMQ's permissions are; "" means
/// "^$". The language is RE2's: no input can make a match slow, and what PCRE alone knows is refused when
/// compiled. Unlike PCRE's, its "$" does not match before a trailing newline. Immutable and safe to use from
/// any thread; copies share the compiled program.
class Pattern {
  public:
    /// The error is a sentence that quotes the pattern.
    static std::expected<Pattern, std::string> compile(std::string_view regex);

    bool matches(std::string_view name) const;

    std::string_view text() const;

  private:
    struct Compiled;

    explicit Pattern(std::shared_ptr<const Compiled> compiled);

    std::shared_ptr<const Compiled> compiled_;  // never null
};

}  // namespace trilby::auth
