// SPDX-License-Identifier: Apache-2.0
#include "broker/definitions/import.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "broker/arguments/arguments.hpp"
#include "broker/definitions/reading.hpp"
#include "routing/predeclared_exchanges.hpp"

namespace trilby::broker {
namespace {

/// What a document with thousands of them would bury the rest under.
constexpr std::size_t most_named = 20;

class Remarks {
  public:
    void add(std::string sentence) {
        if (sentences_.size() < most_named) return sentences_.push_back(std::move(sentence));
        ++more_;
    }
    void move_to(std::vector<std::string>& all, std::string_view what) {
        std::ranges::move(sentences_, std::back_inserter(all));
        if (more_ != 0) all.push_back(fmt::format("and {} more {}", more_, what));
    }

  private:
    std::vector<std::string> sentences_;
    std::size_t more_ = 0;
};

/// Where bindings may begin and end.
class Ends {
  public:
    void add(const Definitions& definitions) {
        for (const auto& one : definitions.vhosts) vhosts_.insert(one.name);
        for (const auto& one : definitions.exchanges) exchanges_.emplace(one.vhost, one.name);
        for (const auto& one : definitions.queues) queues_.emplace(one.vhost, one.name);
    }

    /// What is missing, in words; empty: nothing.
    std::string missing(const BindingDefinition& binding) const {
        if (!vhosts_.contains(binding.vhost)) return "there is no such virtual host";
        if (!has_exchange(binding.vhost, binding.source))
            return fmt::format("there is no exchange '{}'", binding.source);
        if (!binding.destination_is_queue)
            return !binding.destination.empty() && has_exchange(binding.vhost, binding.destination)
                       ? ""
                       : fmt::format("there is no exchange '{}'", binding.destination);
        return queues_.contains({binding.vhost, binding.destination})
                   ? ""
                   : fmt::format("there is no queue '{}'", binding.destination);
    }

  private:
    bool has_exchange(const std::string& vhost, const std::string& name) const {
        return name.empty() || routing::is_predeclared(name) || exchanges_.contains({vhost, name});
    }

    std::set<std::string> vhosts_;
    std::set<std::pair<std::string, std::string>> exchanges_, queues_;
};

template <class Definition, class Name>
void leave_out_transient(std::vector<Definition>& all, Remarks& remarks, Name name) {
    std::erase_if(all, [&](const Definition& one) {
        if (!one.durable)
            remarks.add(fmt::format("left out, for it is not durable: {}", name(one.name, one.vhost)));
        return !one.durable;
    });
}

/// RabbitMQ exports bindings of exclusive queues and of internal exchanges, neither of which it exports.
void leave_out_loose(std::vector<BindingDefinition>& bindings, const Ends& ends, Remarks& remarks) {
    std::erase_if(bindings, [&](const BindingDefinition& one) {
        const auto missing = ends.missing(one);
        if (!missing.empty())
            remarks.add(fmt::format("left out: the binding of '{}' to '{}' in vhost '{}', for {}",
                                    one.destination, one.source, one.vhost, missing));
        return !missing.empty();
    });
}

/// Why a client could not declare the queue; none: it could.
std::optional<std::string> refusal(const QueueDefinition& queue) {
    const auto arguments =
        check_queue_arguments(protocol::TableView(queue.arguments), queue.name, queue.vhost);
    if (!arguments) return arguments.error();
    if (arguments->type == QueueType::stream)
        return unsupported_queue_type(arguments->type, queue.name, queue.vhost);
    return check_queue_properties(arguments->type,
                                  {.durable = queue.durable, .auto_delete = queue.auto_delete}, queue.name,
                                  queue.vhost);
}

/// Of those that would be declared: one that is there stays as it is.
std::optional<std::string> first_refusal(const Definitions& all, const Definitions& added) {
    std::set<std::pair<std::string_view, std::string_view>> there;
    for (const auto& queue : all.queues) there.emplace(queue.vhost, queue.name);
    for (const auto& queue : added.queues)
        if (!there.contains({queue.vhost, queue.name}))
            if (auto reason = refusal(queue)) return reason;
    return std::nullopt;
}

/// A virtual host that is there keeps its description: what is imported goes into it.
void keep_vhost(const Definitions& all, std::vector<VhostDefinition>& added) {
    std::erase_if(added, [&](const VhostDefinition& one) {
        return std::ranges::find(all.vhosts, one.name, &VhostDefinition::name) != all.vhosts.end();
    });
}

}  // namespace

std::expected<DefinitionsReport, std::string> import_document(Definitions& all, std::string_view json,
                                                              const DefinitionsImport& how) {
    auto parsed = read_definitions(json, how.vhost);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    Definitions& added = parsed->definitions;
    if (auto reason = first_refusal(all, added)) return std::unexpected(*std::move(reason));

    DefinitionsReport report{added.rabbit_version, {}, std::move(parsed->remarks)};
    Remarks transient, loose;
    if (how.durable_only) {
        leave_out_transient(added.exchanges, transient, exchange_in_vhost);
        leave_out_transient(added.queues, transient, queue_in_vhost);
    }
    if (!how.vhost.empty()) keep_vhost(all, added.vhosts);
    Ends ends;
    ends.add(all);
    ends.add(added);
    leave_out_loose(added.bindings, ends, loose);
    transient.move_to(report.remarks, "that are not durable");
    loose.move_to(report.remarks, "bindings without one of their ends");
    report.sections = merge_sections(all, added);
    return report;
}

std::vector<std::string> DefinitionsReport::in_words() const {
    std::vector<std::string> lines;
    for (const MergedSection& section : sections) {
        std::vector<std::string> parts;
        const auto part = [&](std::size_t count, std::string_view what) {
            if (count != 0) parts.push_back(fmt::format("{} {}", count, what));
        };
        part(section.added, "added");
        part(section.changed, "changed");
        part(section.equal, "equal");
        if (!section.kept.empty())
            parts.push_back(fmt::format(
                "{} kept as they were, though the document says otherwise ({}{})", section.kept.size(),
                fmt::join(section.kept.begin(),
                          section.kept.begin() +
                              static_cast<std::ptrdiff_t>(std::min(section.kept.size(), most_named)),
                          ", "),
                section.kept.size() > most_named ? ", …" : ""));
        if (!parts.empty()) lines.push_back(fmt::format("{}: {}", section.name, fmt::join(parts, ", ")));
    }
    return lines;
}

}  // namespace trilby::broker
