// RecentEvents: the last things that an operator should know of, for the admin page. Bounded by
// kind, so that many of one kind do not push the others out.
//
// It holds what the log gets: names and addresses of the configuration and references of keys,
// never a key or a value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "io/log.hpp"

namespace tokenring {

struct RecentEvent {
  LogLevel level = LogLevel::kInfo;
  LogEvent event = LogEvent::kProcess;
  std::string text;
  std::int64_t first_ms = 0;  // Unix time; of the last, and of the first of those with this text.
  std::int64_t last_ms = 0;
  std::uint64_t count = 1;
};

// REQUIRES: calls do not meet.
class RecentEvents {
 public:
  static constexpr std::size_t kOfKindMax = 32;

  // Those that are kept: what is no warning may end a trouble.
  [[nodiscard]] static bool wants(LogLevel level, LogEvent event) noexcept {
    return level >= LogLevel::kWarn || event == LogEvent::kNodeUp;
  }

  // One with the text of another is that one again.
  void add(LogLevel level, LogEvent event, std::string_view text, std::int64_t now_ms) {
    add_to(of_kind_[static_cast<std::size_t>(event)], level, event, text, now_ms);
  }
  // What the audit log has to tell. They are a kind of their own, and named as what the process's
  // log says of it.
  void add_anomaly(std::string_view text, std::int64_t now_ms) {
    add_to(of_kind_.back(), LogLevel::kWarn, LogEvent::kAudit, text, now_ms);
  }
  // The newest first, at most so many.
  [[nodiscard]] std::vector<RecentEvent> newest(std::size_t max) const;

 private:
  static void add_to(std::deque<RecentEvent>& kind, LogLevel level, LogEvent event,
                     std::string_view text, std::int64_t now_ms);

  std::array<std::deque<RecentEvent>, kLogEventNames.size() + 1> of_kind_;  // The newest last.
};

// Keeps it for recent_events(), see log.hpp. From any thread.
void keep_anomaly(std::string_view text) noexcept;

}  // namespace tokenring
