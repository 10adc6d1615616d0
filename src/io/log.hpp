// The log: lines for the operator on standard error.
//
// An event is one line, at most so many a second of each kind; what was left out is counted and
// told in a line of its own. Under systemd's journal a line carries its priority and no time. A
// line that standard error does not take at once is dropped too: nobody ever waits for the log. All
// functions may be called from any thread.
//
// Warnings are kept too, the last of each kind, whatever the level is; see recent.hpp.
//
// Never log a key, a value or a secret. Names and addresses come from the configuration.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tokenring {

struct RecentEvent;

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };

// X(enumerator, what the line begins with).
#define TOKENRING_LOG_EVENTS(X)                      \
  X(kProcess, "tokenring") /* Start and stop. */     \
  X(kReload, "reload")                               \
  X(kControl, "control")                             \
  X(kTakeover, "takeover")                           \
  X(kNames, "names")                                 \
  X(kNodeUp, "node up")                              \
  X(kNodeDown, "node down")                          \
  X(kNodeRefused, "node refused") /* Its version. */ \
  X(kNodeTimeout, "node timed out")                  \
  X(kNodeOutOfStep, "node out of step")              \
  X(kSeal, "seal") /* Values that do not open. */    \
  X(kReplay, "replay")                               \
  X(kAccept, "accept")                               \
  X(kClients, "clients") /* Too many. */             \
  X(kAdmin, "admin")                                 \
  X(kTls, "tls")                                     \
  X(kAccess, "access") /* Logins and refusals. */    \
  X(kAudit, "audit")                                 \
  X(kIntrospection, "introspection")

enum class LogEvent : std::uint8_t {
#define X(enumerator, name) enumerator,
  TOKENRING_LOG_EVENTS(X)
#undef X
};

inline constexpr std::array kLogEventNames = {
#define X(enumerator, name) std::string_view(name),
    TOKENRING_LOG_EVENTS(X)
#undef X
};

inline constexpr std::uint32_t kLogLinesPerSecondMax = 10;  // Of each event.
inline constexpr std::size_t kLogBytesMax = 1000;           // Of a line's text; then it is cut.

[[nodiscard]] std::string_view name_of(LogLevel level) noexcept;

// Lines below `level` are left out. May be changed at any time; kInfo before.
void set_log_level(LogLevel level) noexcept;

// Tells what was dropped in earlier seconds. Call it every second or so, and at the end.
void tell_dropped_lines() noexcept;

// What was kept, the newest first, at most so many.
[[nodiscard]] std::vector<RecentEvent> recent_events(std::size_t max);

// Whether a line may be written or kept now; counts it where not.
[[nodiscard]] bool admit_line(LogLevel level, LogEvent event) noexcept;
// The line itself. Bytes that do not print become '?'.
void write_line(LogLevel level, LogEvent event, std::string_view text) noexcept;

template <typename... Args>
void log_event(LogLevel level, LogEvent event, fmt::format_string<Args...> format,
               Args&&... args) noexcept {
  if (!admit_line(level, event)) return;
  std::array<char, kLogBytesMax> text;
  const auto written =
      fmt::format_to_n(text.data(), text.size(), format, std::forward<Args>(args)...);
  write_line(level, event, {text.data(), std::min<std::size_t>(written.size, text.size())});
}

}  // namespace tokenring
