#include "io/log.hpp"

#include <poll.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

#include "io/clock.hpp"
#include "io/recent.hpp"

namespace tokenring {

namespace {

constexpr spdlog::level::level_enum kSpdlogLevels[] = {spdlog::level::debug, spdlog::level::info,
                                                       spdlog::level::warn, spdlog::level::err};
constexpr char kPriorities[] = {'7', '6', '4', '3'};  // Of syslog(3).

struct EventState {
  std::int64_t second = 0;  // The one that is counted.
  std::uint32_t lines = 0;
  std::uint64_t dropped = 0;  // And not told yet.
};

std::atomic<LogLevel> least_level{LogLevel::kInfo};
std::mutex states_mutex;
std::array<EventState, kLogEventNames.size()> states;

// Lives to the process's end, as the output does.
struct Kept {
  std::mutex mutex;
  RecentEvents events;
};
Kept& kept() {
  static auto* const only = new Kept;
  return *only;
}

// For recent_events(). `add`: takes the printable text, and when that is.
template <typename Keep>
void keep(std::string_view text, Keep&& add) {
  std::string printable(text.substr(0, kLogBytesMax));
  for (char& c : printable)
    if (c < ' ' || c > '~') c = '?';
  const std::lock_guard lock(kept().mutex);
  add(printable, unix_ms());
}

EventState& state_of(LogEvent event) {
  return states[static_cast<std::size_t>(event)];
}

// Writes to standard error without ever waiting for who reads it. A line is below PIPE_BUF, so that
// a pipe that can be written to takes it whole.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (::send(STDERR_FILENO, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return;
    if (errno != ENOTSOCK) return;
    pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return;
    static_cast<void>(!::write(STDERR_FILENO, line.data(), line.size()));
  }
  void flush_() override {}
};

// systemd names the device and inode of the journal's socket; standard error may be another by now.
bool writes_to_journal() {
  const char* named = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (named == nullptr || ::fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == named;
}

struct Output {
  bool to_journal = writes_to_journal();
  spdlog::logger logger{"tokenring", std::make_shared<StderrSink>()};

  Output() {
    logger.set_level(spdlog::level::trace);
    logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        to_journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%eZ %v", spdlog::pattern_time_type::utc));
  }
};

// Lives to the process's end: threads may still write while main() returns.
Output& output() {
  static auto* const only = new Output;
  return *only;
}

}  // namespace

std::string_view name_of(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return {};
}

void set_log_level(LogLevel level) noexcept {
  least_level.store(level, std::memory_order_relaxed);
}

bool admit_line(LogLevel level, LogEvent event) noexcept {
  if (level < least_level.load(std::memory_order_relaxed) && !RecentEvents::wants(level, event))
    return false;
  const std::int64_t second = read_clock().instant.ns / 1'000'000'000;
  std::uint64_t dropped = 0;
  {
    const std::lock_guard lock(states_mutex);
    EventState& state = state_of(event);
    if (state.second != second) {
      dropped = std::exchange(state.dropped, 0);
      state = {.second = second};
    }
    if (state.lines == kLogLinesPerSecondMax) {
      ++state.dropped;
      return false;
    }
    ++state.lines;
  }
  if (dropped > 0) write_line(level, event, fmt::format("{} more lines were dropped", dropped));
  return true;
}

void tell_dropped_lines() noexcept {
  const std::int64_t second = read_clock().instant.ns / 1'000'000'000;
  for (std::size_t i = 0; i < states.size(); ++i) {
    std::uint64_t dropped = 0;
    {
      const std::lock_guard lock(states_mutex);
      if (states[i].second != second) dropped = std::exchange(states[i].dropped, 0);
    }
    if (dropped > 0)
      write_line(LogLevel::kWarn, static_cast<LogEvent>(i),
                 fmt::format("{} more lines were dropped", dropped));
  }
}

void keep_anomaly(std::string_view text) noexcept {
  keep(text, [](const std::string& printable, std::int64_t now_ms) {
    kept().events.add_anomaly(printable, now_ms);
  });
}

std::vector<RecentEvent> recent_events(std::size_t max) {
  const std::lock_guard lock(kept().mutex);
  return kept().events.newest(max);
}

void write_line(LogLevel level, LogEvent event, std::string_view text) noexcept {
  if (RecentEvents::wants(level, event)) {
    keep(text, [&](const std::string& printable, std::int64_t now_ms) {
      kept().events.add(level, event, printable, now_ms);
    });
  }
  if (level < least_level.load(std::memory_order_relaxed)) return;
  std::string line;
  Output& out = output();
  if (out.to_journal) line = fmt::format("<{}>", kPriorities[static_cast<std::size_t>(level)]);
  if (!out.to_journal) line = fmt::format("{} ", name_of(level));
  line += fmt::format("{}: {}", kLogEventNames[static_cast<std::size_t>(event)], text);
  for (char& c : line)
    if (c < ' ' || c > '~') c = '?';
  out.logger.log(kSpdlogLevels[static_cast<std::size_t>(level)], line);
}

}  // namespace tokenring
