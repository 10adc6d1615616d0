#include "io/audit_queue.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

namespace tokenring {

void AuditQueue::set_max(std::size_t events) noexcept {
  const std::lock_guard lock(mutex_);
  max_ = events;
}

// Half of the room for anomalies is for those who bring few about.
bool AuditQueue::admit(const AuditEvent& event) noexcept {
  std::size_t& there = event.is_sampled ? sampled_ : anomalies_;
  if (there >= max_) return false;
  if (!event.is_sampled) {
    const std::size_t source = std::hash<std::string_view>()(source_of(event.identity, event.peer));
    std::uint32_t& of_source = of_source_[source % of_source_.size()];
    const bool is_crowded = there >= max_ / 2;
    if (is_crowded && of_source >= std::max<std::size_t>(1, max_ / kSourceShare)) return false;
    ++of_source;
  }
  ++there;
  return true;
}

void AuditQueue::put(AuditBatch batch, AuditDrops lost, std::uint64_t lost_misses) noexcept {
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(batch.events, [&](const AuditEvent& event) {
      if (admit(event)) return false;
      lost.add(event.is_sampled);
      return true;
    });
    std::size_t misses = 0;
    for (const MissedKeys& missed : batch.misses) misses += missed.keys.size();
    if (misses_ + misses > max_ * kMissesPerEvent) {
      lost_misses += misses;
      batch.misses.clear();
      misses = 0;
    }
    counts_.dropped(lost);
    counts_.missed_dropped.fetch_add(lost_misses, std::memory_order_relaxed);
    waiting_.dropped.add(lost);
    if (batch.events.empty() && batch.misses.empty()) return;
    misses_ += misses;
    was_empty = waiting_.batches.empty();
    waiting_.batches.push_back(std::move(batch));
  }
  if (was_empty) filled_.notify_one();
}

AuditQueue::Taken AuditQueue::take() noexcept {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [this] { return woken_ || !waiting_.batches.empty(); });
  woken_ = false;
  sampled_ = anomalies_ = misses_ = 0;
  of_source_.fill(0);
  return std::exchange(waiting_, {});
}

void AuditQueue::wake() noexcept {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  filled_.notify_one();
}

}  // namespace tokenring
