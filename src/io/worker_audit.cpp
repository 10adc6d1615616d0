// The worker's part of the audit log: hands over what its engine and its links have to tell.
#include <chrono>
#include <utility>

#include "io/worker.hpp"

namespace tokenring {

AuditBatch Worker::audit_batch() const {
  AuditBatch batch;
  batch.at_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                    std::chrono::system_clock::now().time_since_epoch())
                    .count();
  batch.instant = now_.instant;
  batch.worker = options_.index;
  batch.names = options_.snapshot->audit->names;
  return batch;
}

void Worker::audit(std::unique_ptr<AuditWork> work) noexcept {
  if (options_.audit == nullptr || options_.snapshot->audit == nullptr) return;
  AuditBatch batch = audit_batch();
  batch.events = std::move(work->events);
  batch.misses = std::move(work->misses);
  options_.audit->put(std::move(batch), work->lost, work->lost_misses);
}

void Worker::audit(AuditEvent event) noexcept {
  if (options_.audit == nullptr || options_.snapshot->audit == nullptr) return;
  AuditBatch batch = audit_batch();
  batch.events.push_back(std::move(event));
  options_.audit->put(std::move(batch));
}

}  // namespace tokenring
