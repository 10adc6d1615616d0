#include "io/audit_queue.hpp"

#include <utility>

namespace tokenring {

void AuditQueue::set_max(std::size_t events) noexcept {
  const std::lock_guard lock(mutex_);
  max_ = events;
}

void AuditQueue::put(AuditBatch batch, std::uint64_t lost_events,
                     std::uint64_t lost_misses) noexcept {
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t room = max_ > events_ ? max_ - events_ : 0;
    if (batch.events.size() > room) {
      lost_events += batch.events.size() - room;
      batch.events.resize(room);
    }
    std::size_t misses = 0;
    for (const MissedKeys& missed : batch.misses) misses += missed.keys.size();
    if (misses_ + misses > max_ * kMissesPerEvent) {
      lost_misses += misses;
      batch.misses.clear();
      misses = 0;
    }
    counts_.dropped.fetch_add(lost_events, std::memory_order_relaxed);
    counts_.missed_dropped.fetch_add(lost_misses, std::memory_order_relaxed);
    waiting_.dropped += lost_events;
    if (batch.events.empty() && batch.misses.empty()) return;
    events_ += batch.events.size();
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
  events_ = misses_ = 0;
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
