// The worker's part of the audit log: hands over what its engine and its links have to tell.
#include <utility>

#include "io/clock.hpp"
#include "io/worker.hpp"

namespace tokenring {

AuditBatch Worker::audit_batch() const {
  return {.at_ms = unix_ms(),
          .instant = now_.instant,
          .worker = options_.index,
          .names = options_.snapshot->audit->names};
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
