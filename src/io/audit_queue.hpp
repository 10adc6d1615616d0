// AuditQueue: between those that know what happened, workers and the control thread, and the one
// thread that writes it down. Whoever puts something in never waits: what finds no room is counted
// and lost, and that is told in the log itself. Anomalies have room of their own.
#pragma once

#include <array>
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
  std::atomic<std::uint64_t> sampled_dropped{0};
  std::atomic<std::uint64_t> anomalies_dropped{0};
  std::atomic<std::uint64_t> missed_dropped{0};  // Missed keys that were not looked at.
  std::atomic<std::uint64_t> write_errors{0};
  std::atomic<std::uint64_t> enumerations{0};

  void dropped(const AuditDrops& drops) noexcept {
    sampled_dropped.fetch_add(drops.sampled, std::memory_order_relaxed);
    anomalies_dropped.fetch_add(drops.anomalies, std::memory_order_relaxed);
  }
  [[nodiscard]] AuditDrops dropped() const noexcept {
    return {.sampled = sampled_dropped.load(std::memory_order_relaxed),
            .anomalies = anomalies_dropped.load(std::memory_order_relaxed)};
  }
};

// All functions may be called from any thread.
class AuditQueue {
 public:
  static constexpr std::size_t kEventsDefault = 8'192;
  static constexpr std::size_t kMissesPerEvent = 16;  // So many times more keys than events.

  // Of events that wait: so many sampled ones, and as many anomalies. Who brings about half of
  // these leaves the other half to others.
  void set_max(std::size_t events) noexcept;
  // Takes what there is room for. `lost`: was given up before.
  void put(AuditBatch batch, AuditDrops lost = {}, std::uint64_t lost_misses = 0) noexcept;

  struct Taken {
    std::vector<AuditBatch> batches;
    AuditDrops dropped = {};  // Since the last time.
  };
  // Waits until there is something, or somebody calls wake().
  [[nodiscard]] Taken take() noexcept;
  void wake() noexcept;

  [[nodiscard]] const AuditCounts& counts() const noexcept { return counts_; }
  [[nodiscard]] AuditCounts& counts() noexcept { return counts_; }

 private:
  static constexpr std::size_t kSourceShare = 64;

  // Whether there is room for it, which it then has.
  [[nodiscard]] bool admit(const AuditEvent& event) noexcept;

  std::mutex mutex_;
  std::condition_variable filled_;
  std::size_t max_ = kEventsDefault;
  std::size_t sampled_ = 0;
  std::size_t anomalies_ = 0;
  std::array<std::uint32_t, 256>
      of_source_{};  // Of anomalies, by a hash of who brought them about.
  std::size_t misses_ = 0;
  bool woken_ = false;
  Taken waiting_;
  AuditCounts counts_;
};

}  // namespace tokenring
