// The supervisor's part of the service manager: what it is told, and its watchdog.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "app/metrics.hpp"
#include "app/quantity.hpp"
#include "app/read_file.hpp"
#include "app/supervisor.hpp"
#include "io/clock.hpp"
#include "io/log.hpp"

namespace tokenring {

namespace {

constexpr std::uint64_t kStatusEveryS = 5;
// A beat that is late by less than the time between two looks must not cost the process its life.
constexpr std::int64_t kLooksPerWatchdog = 4;
constexpr std::int64_t kEndMs = 5'000;  // For what comes after the last client.
constexpr std::size_t kCgroupBytesMax = 16 * 1024;

std::string cgroup_of(std::string_view process) {
  std::string text;
  static_cast<void>(read_file(fmt::format("/proc/{}/cgroup", process), kCgroupBytesMax, text));
  return text;
}

// Whether a process is one of this process's own unit.
bool is_of_this_unit(pid_t process) {
  const std::string ours = cgroup_of("self");
  return process > 0 && !ours.empty() && cgroup_of(std::to_string(process)) == ours;
}

}  // namespace

std::string Supervisor::status_line() const {
  if (phase_ != Phase::kServing) return phase_ == Phase::kStarting ? "Starting" : "Draining";
  std::uint64_t nodes = 0;
  std::uint64_t up = 0;
  for (const Pool& pool : snapshot_->pools) {
    nodes += pool.nodes.size();
    up += nodes_up(pool, snapshot_->tallies->nodes);
  }
  return fmt::format("Serving; connections: {}, nodes up: {} of {}{}",
                     board_.sum(static_cast<std::size_t>(Counter::kCurrConnections)), up, nodes,
                     last_reload_failed_ ? "; the last reload failed" : "");
}

void Supervisor::tell_ready() {
  if (!notifier_.is_on()) return;
  if (!notifier_.tell(fmt::format("READY=1\nSTATUS={}", status_line())))
    log_event(LogLevel::kWarn, LogEvent::kProcess, "the service manager could not be told");
  beats_.assign(workers_.size(), 0);
  if (notifier_.watchdog_us() > 0) feed_watchdog();
}

void Supervisor::tell_status() {
  if (!notifier_.is_on() || ++seconds_ % kStatusEveryS != 0) return;
  if (std::string line = status_line(); line != told_status_) {
    notifier_.tell("STATUS=" + line);
    told_status_ = std::move(line);
  }
}

void Supervisor::tell_reloading() {
  told_reloading_ = true;
  notifier_.tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", read_clock().instant.ns / 1'000));
}

void Supervisor::tell_reloaded() {
  if (!std::exchange(told_reloading_, false) || phase_ != Phase::kServing) return;
  notifier_.tell(fmt::format("READY=1\nSTATUS={}", status_line()));
}

// The unit goes on where the successor is of the same.
void Supervisor::tell_stopping(std::optional<pid_t> successor) {
  if (!notifier_.is_on()) return;
  if (successor && is_of_this_unit(*successor)) {
    notifier_.tell(fmt::format("MAINPID={}", *successor));
    return;
  }
  const std::int64_t ms = config_.drain_timeout_ms + Worker::kFinishMs + kEndMs;
  notifier_.tell(
      fmt::format("STOPPING=1\nEXTEND_TIMEOUT_USEC={}\nSTATUS={}", ms * 1'000, status_line()));
}

// The control thread waits for the keys at a reload, and feeds nobody meanwhile; the last feed may
// be a look old by then. Empty: there is time enough.
std::string Supervisor::warning_of_watchdog() const {
  const KeySource& keys = config_.keys;
  const std::int64_t wait_us = keys.command.timeout_ms * 1'000;
  const std::int64_t watchdog_us = notifier_.watchdog_us();
  if (watchdog_us == 0 || keys.command.argv.empty()) return {};
  if (wait_us < watchdog_us - watchdog_us / kLooksPerWatchdog) return {};
  return fmt::format(
      "{}: a reload may wait {} for it, too long for the service manager's watchdog of {}; give a "
      "WatchdogSec that is half as long again as keys.command_timeout",
      keys.at, duration_text(wait_us), duration_text(watchdog_us));
}

// Only while every worker goes round, or is done: one that hangs leaves the process to its manager.
void Supervisor::feed_watchdog() {
  bool all_go_round = true;
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const std::uint64_t beats = workers_[i]->beats();
    all_go_round &= workers_[i]->has_ended() || beats != beats_[i];
    beats_[i] = beats;
  }
  if (all_go_round) notifier_.tell("WATCHDOG=1");
  const std::int64_t ms = notifier_.watchdog_us() / 1'000 / kLooksPerWatchdog;
  control_.after(std::max(ms, Worker::kBeatMs * 2), [this] { feed_watchdog(); });
}

}  // namespace tokenring
