// AuditQueue: between those that know what happened, workers and the control thread, and the one
// thread that writes it down. Whoever puts something in never waits: what finds no room is counted
// and lost, and that is told in the log itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "policy/audit_rules.hpp"
#include "proxy/audit.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

// What became known at one moment.
struct AuditBatch {
  static constexpr std::uint32_t kNoWorker = UINT32_MAX;

  std::int64_t at_ms = 0;  // Unix time.
  Instant instant = {};
  std::uint32_t worker = kNoWorker;
  std::shared_ptr<const AuditNames> names = nullptr;
  std::vector<AuditEvent> events = {};
  std::vector<MissedKeys> misses = {};
};

// For metrics. Read by anyone.
struct AuditCounts {
  std::atomic<std::uint64_t> written{0};
  std::atomic<std::uint64_t> dropped{0};         // Events,
  std::atomic<std::uint64_t> missed_dropped{0};  // and missed keys that were not looked at.
  std::atomic<std::uint64_t> write_errors{0};
  std::atomic<std::uint64_t> enumerations{0};
};

// All functions may be called from any thread.
class AuditQueue {
 public:
  static constexpr std::size_t kEventsDefault = 8'192;
  static constexpr std::size_t kMissesPerEvent = 16;  // So many times more keys than events.

  // Of events that wait.
  void set_max(std::size_t events) noexcept;
  // Takes what there is room for. `lost`: was given up before.
  void put(AuditBatch batch, std::uint64_t lost_events = 0, std::uint64_t lost_misses = 0) noexcept;

  struct Taken {
    std::vector<AuditBatch> batches;
    std::uint64_t dropped = 0;  // Events, since the last time.
  };
  // Waits until there is something, or somebody calls wake().
  [[nodiscard]] Taken take() noexcept;
  void wake() noexcept;

  [[nodiscard]] const AuditCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] AuditCounts& counts() noexcept { return counts_; }

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::size_t max_ = kEventsDefault;
  std::size_t events_ = 0;
  std::size_t misses_ = 0;
  bool woken_ = false;
  Taken waiting_;
  AuditCounts counts_;
};

}  // namespace tokenring
