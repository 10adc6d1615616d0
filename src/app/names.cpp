#include "app/names.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/address.hpp"

namespace tokenring {

void NameBook::use(const Config& config, Instant now) {
  std::map<std::string, Entry, std::less<>> entries;
  for (const PoolConfig& pool : config.pools) {
    for (const NodeSpec& node : pool.nodes) {
      const auto address = parse_node_address(node.address);
      if (!address || !address->is_name) continue;
      const auto [entry, fresh] = entries.try_emplace(node.address);
      if (fresh) {
        const auto known = entries_.find(node.address);
        if (known != entries_.end()) entry->second = known->second;
        if (known == entries_.end()) entry->second.due = now;
        entry->second.every_ms = pool.resolve_every_ms;
      }
      entry->second.every_ms = std::min(entry->second.every_ms, pool.resolve_every_ms);
      entry->second.due = std::min(entry->second.due, now.plus_ms(entry->second.every_ms));
    }
  }
  entries_ = std::move(entries);
  std::erase_if(names_, [&](const auto& name) { return !entries_.contains(name.first); });
}

std::vector<std::string> NameBook::take_due(Instant now) {
  std::vector<std::string> due;
  for (auto& [name, entry] : entries_) {
    if (now < entry.due) continue;
    entry.due = now.plus_ms(std::min(entry.every_ms, kRetryMs));
    due.push_back(name);
  }
  return due;
}

bool NameBook::all_answered() const noexcept {
  return std::all_of(entries_.begin(), entries_.end(),
                     [](const auto& entry) { return entry.second.answered; });
}

NameBook::Change NameBook::answer(const std::string& name,
                                  const Result<std::vector<std::string>, std::string>& found,
                                  Instant now) {
  const auto entry = entries_.find(name);
  if (entry == entries_.end()) return {};  // Not in use any more.
  entry->second.answered = true;
  if (!found) {
    if (entry->second.problem == found.error()) return {};
    entry->second.problem = found.error();
    return {.line = fmt::format("{} cannot be looked up: {}{}", name, found.error(),
                                names_.contains(name) ? "; its last addresses stay in use" : ""),
            .is_problem = true};
  }
  const bool recovered = !entry->second.problem.empty();
  entry->second.problem.clear();
  entry->second.due = now.plus_ms(entry->second.every_ms);
  NamePlaces places{.all = *found, .chosen = found->front()};
  std::sort(places.all.begin(), places.all.end());
  const auto known = names_.find(name);
  // Servers give several addresses in ever another order; a node stays where it is if it can.
  if (known != names_.end() &&
      std::binary_search(places.all.begin(), places.all.end(), known->second.chosen))
    places.chosen = known->second.chosen;
  const bool changed = known == names_.end() || known->second != places;
  Change change{.changed = changed};
  if (changed || recovered)
    change.line = fmt::format("{} is {}", name, fmt::join(places.all, ", "));
  names_[name] = std::move(places);
  return change;
}

std::string NameBook::problem(std::string_view name) const {
  const auto entry = entries_.find(name);
  return entry == entries_.end() ? std::string() : entry->second.problem;
}

NameBook::Change NameBook::failed(std::string_view place, Instant now) {
  Change change;
  for (auto& [name, places] : names_) {
    if (std::find(places.all.begin(), places.all.end(), place) == places.all.end()) continue;
    Entry& entry = entries_.find(name)->second;
    if (entry.had_failure && now < entry.failed_at.plus_ms(kRetryMs)) continue;
    entry.had_failure = true;
    entry.failed_at = now;
    entry.due = now;
    if (places.chosen != place || places.all.size() == 1) continue;
    const auto next = std::upper_bound(places.all.begin(), places.all.end(), places.chosen);
    places.chosen = next == places.all.end() ? places.all.front() : *next;
    change = {.changed = true,
              .line = fmt::format("{} does not take connections at {}; trying {}", name, place,
                                  places.chosen),
              .is_problem = true};
  }
  return change;
}

}  // namespace tokenring
