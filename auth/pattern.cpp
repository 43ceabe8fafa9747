// SPDX-License-Identifier: Apache-2.0
#include "auth/pattern.hpp"

#include <cstdint>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <re2/re2.h>

namespace trilby::auth {
namespace {

/// Bounds what one pattern and its cache of states may take. A pattern that needs more is refused.
constexpr std::int64_t memory_per_pattern = 1 << 20;

re2::RE2::Options options() {
    re2::RE2::Options result;
    result.set_encoding(re2::RE2::Options::EncodingLatin1);
    result.set_log_errors(false);
    result.set_never_capture(true);
    result.set_max_mem(memory_per_pattern);
    return result;
}

std::string_view hint(re2::RE2::ErrorCode code) {
    switch (code) {
        case re2::RE2::ErrorBadPerlOp:
            return " (lookahead, lookbehind, atomic groups and conditions of PCRE are not supported)";
        case re2::RE2::ErrorBadEscape:
            return " (back references and escapes that only PCRE has are not supported)";
        case re2::RE2::ErrorRepeatOp: return " (possessive quantifiers of PCRE are not supported)";
        case re2::RE2::ErrorBadNamedCapture: return " (a named group is written (?P<name>…))";
        case re2::RE2::ErrorRepeatSize: return " (at most 1000 repetitions are possible)";
        case re2::RE2::ErrorPatternTooLarge: return " (write a shorter pattern or fewer repetitions)";
        default: return "";
    }
}

}  // namespace

struct Pattern::Compiled {
    enum class Kind { everything, empty_name, regex };

    std::string text;
    Kind kind = Kind::regex;
    std::optional<re2::RE2> program;  // when kind is regex
};

Pattern::Pattern(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}

std::expected<Pattern, std::string> Pattern::compile(std::string_view regex) {
    auto compiled = std::make_shared<Compiled>();
    compiled->text = regex;
    // The two patterns that most permissions consist of need no program.
    if (regex.empty() || regex == "^$") {
        compiled->kind = Compiled::Kind::empty_name;
    } else if (regex == ".*" || regex == "^.*") {
        compiled->kind = Compiled::Kind::everything;
    } else {
        const auto& program = compiled->program.emplace(regex, options());
        if (!program.ok()) {
            return std::unexpected(fmt::format("'{}' is not a valid regular expression: {}{}", regex,
                                               program.error(), hint(program.error_code())));
        }
    }
    return Pattern{std::move(compiled)};
}

bool Pattern::matches(std::string_view name) const {
    switch (compiled_->kind) {
        case Compiled::Kind::everything: return true;
        case Compiled::Kind::empty_name: return name.empty();
        case Compiled::Kind::regex: break;
    }
    return compiled_->program->Match(name, 0, name.size(), re2::RE2::UNANCHORED, nullptr, 0);
}

std::string_view Pattern::text() const {
    return compiled_->text;
}

}  // namespace trilby::auth
