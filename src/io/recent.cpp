#include "io/recent.hpp"

#include <algorithm>
#include <utility>

namespace tokenring {

void RecentEvents::add_to(std::deque<RecentEvent>& kind, LogLevel level, LogEvent event,
                          std::string_view text, std::int64_t now_ms) {
  const auto same = std::find_if(kind.begin(), kind.end(), [&](const RecentEvent& other) {
    return other.level == level && other.text == text;
  });
  if (same != kind.end()) {
    RecentEvent again = std::move(*same);
    kind.erase(same);
    again.last_ms = now_ms;
    ++again.count;
    kind.push_back(std::move(again));
    return;
  }
  if (kind.size() == kOfKindMax) kind.pop_front();
  kind.push_back({.level = level,
                  .event = event,
                  .text = std::string(text),
                  .first_ms = now_ms,
                  .last_ms = now_ms});
}

std::vector<RecentEvent> RecentEvents::newest(std::size_t max) const {
  std::vector<RecentEvent> all;
  for (const auto& kind : of_kind_) all.insert(all.end(), kind.rbegin(), kind.rend());
  std::stable_sort(all.begin(), all.end(), [](const RecentEvent& a, const RecentEvent& b) {
    return a.last_ms > b.last_ms;
  });
  if (all.size() > max) all.resize(max);
  return all;
}

}  // namespace tokenring
