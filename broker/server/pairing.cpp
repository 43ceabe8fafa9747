// SPDX-License-Identifier: Apache-2.0
#include "broker/server/pairing.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "broker/catalog/store.hpp"
#include "broker/server/data_directory.hpp"

namespace trilby::broker {

namespace {

constexpr std::string_view what_to_do =
    "Put back what belongs together, a copy of the whole data directory of one moment; or start with "
    "--accept-loss, "
    "which uses what can be used and moves the rest aside";

bool has_segments(const std::filesystem::path& journal) {
    std::error_code error;
    for (std::filesystem::directory_iterator entry(journal, error), end; !error && entry != end;
         entry.increment(error))
        if (journal::segment_of(entry->path().filename().string()) != 0) return true;
    return false;
}

}  // namespace

void refuse_lost_catalog(const DataDirectory& directory) {
    std::error_code error;
    const auto size = std::filesystem::file_size(directory.catalog(), error);
    if ((!error && size != 0) || !has_segments(directory.journal())) return;
    throw std::runtime_error(fmt::format("the catalog {} is {}, and the journal beside it has messages. {}",
                                         directory.catalog().string(), error ? "missing" : "empty",
                                         what_to_do));
}

Mismatch mismatch_of(CatalogStore& catalog, const journal::State& journal,
                     const std::vector<journal::Damage>& damages) {
    Mismatch mismatch;
    const journal::Remembered remembered = catalog.journal();
    const auto say = [&](std::string sentence) { mismatch.sentences.push_back(std::move(sentence)); };
    if (remembered.journal != 0 && journal.journal != 0 && remembered.journal != journal.journal) {
        mismatch.foreign = true;
        say(fmt::format("the catalog's journal is {:016x}, and this one is {:016x}", remembered.journal,
                        journal.journal));
        return mismatch;
    }
    mismatch.older_catalog =
        journal.catalog > catalog.changes() || journal.newest_queue > catalog.last_queue_id();
    if (journal.catalog > catalog.changes())
        say(fmt::format(
            "the catalog is older than the journal: it has {} changes, and the journal knows of {}",
            catalog.changes(), journal.catalog));
    if (journal.newest_queue > catalog.last_queue_id())
        say(fmt::format(
            "the catalog is older than the journal: its newest queue has number {}, and there were "
            "messages for number {}",
            catalog.last_queue_id(), journal.newest_queue));
    for (const journal::Damage& damage : damages)
        if (damage.kind == journal::Damage::Kind::missing) say(to_text(damage));
    return mismatch;
}

void refuse(const Mismatch& mismatch, const std::filesystem::path& directory) {
    throw std::runtime_error(fmt::format("the catalog and the journal in {} do not belong together: {}. {}",
                                         directory.string(), fmt::join(mismatch.sentences, "; "),
                                         what_to_do));
}

std::filesystem::path move_journal_aside(const DataDirectory& directory) {
    const std::string name = directory.journal().string() + ".aside";
    std::filesystem::path aside = name;
    for (unsigned number = 2; std::filesystem::exists(aside); ++number)
        aside = name + '-' + std::to_string(number);
    std::filesystem::rename(directory.journal(), aside);
    directory.sync();
    return aside;
}

}  // namespace trilby::broker
