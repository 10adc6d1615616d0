// Metrics: what is counted anywhere in the process, as text for Prometheus, and whether the process
// is ready for clients. Reads numbers that other threads write; changes nothing.
//
// Labels are names of the configuration and ids of keys only, so that it bounds the series.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "app/exposition.hpp"
#include "io/audit_queue.hpp"
#include "policy/snapshot.hpp"
#include "proxy/counters.hpp"

namespace tokenring {

// What the control thread knows and the workers' counters do not have.
struct ProcessState {
  std::shared_ptr<const Snapshot> snapshot;
  const AuditCounts* audit = nullptr;
  bool draining = false;
  std::uint64_t reloads = 0;
  std::uint64_t failed_reloads = 0;
  bool last_reload_failed = false;
  std::int64_t loaded_s = 0;  // Unix time at which the present configuration was taken.
};

// What the kernel says of the process. Zeros where it does not.
struct ProcessUsage {
  double user_s = 0;
  double system_s = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;
};
[[nodiscard]] ProcessUsage process_usage();

struct MetricsSource {
  const ProcessState& state;
  const CounterBoard& board;
  ProcessUsage usage;
  std::int64_t started_s = 0;  // Unix time.
  std::int64_t now_s = 0;
};

// Why no client should be sent here, in one line; empty: it should.
// REQUIRES: there is a snapshot.
[[nodiscard]] std::string unready_reason(const ProcessState& state);

// Nodes of the pool that some worker is connected to.
[[nodiscard]] std::uint64_t nodes_up(const Pool& pool, const NodeTallies& tallies) noexcept;

// REQUIRES: there is a snapshot.
[[nodiscard]] std::string metrics_text(const MetricsSource& source);

// Its parts, each a few families.
void tell_process(const MetricsSource& source, Exposition& out);
void tell_clients(const MetricsSource& source, Exposition& out);
void tell_audit(const AuditCounts& counts, Exposition& out);
void tell_nodes(const Snapshot& snapshot, Exposition& out);
void tell_namespaces(const Snapshot& snapshot, Exposition& out);
void tell_keys(const Snapshot& snapshot, Exposition& out);
void tell_introspections(const Snapshot& snapshot, Exposition& out);
void tell_latencies(const CounterBoard& board, Exposition& out);
void tell_times(const Snapshot& snapshot, Exposition& out);

}  // namespace tokenring
