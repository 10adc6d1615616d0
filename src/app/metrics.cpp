// Metrics of the process and of its clients. Names are memcached_exporter's where it has one that
// means the same, so that its dashboards and alerts hold; all others begin with tokenring_.

#include "app/metrics.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "tokenring/version.hpp"

namespace tokenring {

namespace {

using Type = Exposition::Type;

double seconds(const timeval& time) noexcept {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::uint64_t resident_bytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "re");
  if (file == nullptr) return 0;
  unsigned long long all = 0;
  unsigned long long resident = 0;
  const int read = std::fscanf(file, "%llu %llu", &all, &resident);
  std::fclose(file);
  return read == 2 ? resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

std::uint64_t open_descriptors() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  std::uint64_t entries = 0;
  while (::readdir(folder) != nullptr) ++entries;
  ::closedir(folder);
  return entries - std::min<std::uint64_t>(entries, 3);  // ".", ".." and the folder's own.
}

// A family begins where its name is not empty, and goes on in the rows behind.
struct CounterRow {
  Counter counter;
  std::string_view family;
  std::string_view help;
  Exposition::Label label = {};
  Exposition::Label more = {};
};

constexpr std::array kCounterRows{
    CounterRow{Counter::kTotalConnections, "memcached_connections_total",
               "Clients that connected."},
    CounterRow{Counter::kRejectedConnections, "memcached_connections_rejected_total",
               "Clients that were refused because of limits.clients_max."},
    CounterRow{Counter::kBytesRead, "memcached_read_bytes_total", "Bytes read from clients."},
    CounterRow{Counter::kBytesWritten, "memcached_written_bytes_total", "Bytes sent to clients."},
    CounterRow{Counter::kGetHits,
               "memcached_commands_total",
               "Commands of clients by how they ended, where the proxy can tell.",
               {"command", "get"},
               {"status", "hit"}},
    CounterRow{Counter::kGetMisses, {}, {}, {"command", "get"}, {"status", "miss"}},
    CounterRow{Counter::kTouchHits, {}, {}, {"command", "touch"}, {"status", "hit"}},
    CounterRow{Counter::kTouchMisses, {}, {}, {"command", "touch"}, {"status", "miss"}},
    CounterRow{Counter::kCmdSet, {}, {}, {"command", "set"}, {"status", "hit"}},
    CounterRow{Counter::kCmdFlush, {}, {}, {"command", "flush"}, {"status", "hit"}},
    CounterRow{Counter::kCmdGet,
               "tokenring_commands_total",
               "Commands of clients, a get once for each key.",
               {"command", "get"}},
    CounterRow{Counter::kCmdSet, {}, {}, {"command", "set"}},
    CounterRow{Counter::kCmdDelete, {}, {}, {"command", "delete"}},
    CounterRow{Counter::kCmdArithmetic, {}, {}, {"command", "arithmetic"}},
    CounterRow{Counter::kCmdTouch, {}, {}, {"command", "touch"}},
    CounterRow{Counter::kCmdFlush, {}, {}, {"command", "flush"}},
    CounterRow{Counter::kIdleKicks,
               "tokenring_clients_kicked_total",
               "Clients that were closed because of a limit of time.",
               {"reason", "idle"}},
    CounterRow{Counter::kSlowReadKicks, {}, {}, {"reason", "slow_request"}},
    CounterRow{Counter::kSlowWriteKicks, {}, {}, {"reason", "slow_reader"}},
    CounterRow{Counter::kRequestsFailed, "tokenring_requests_failed_total",
               "Requests that no node answered; a read may have been a miss to its client."},
    CounterRow{Counter::kRequestsRefused, "tokenring_requests_refused_total",
               "Requests refused because a limit of requests in flight or of bytes was reached."},
    CounterRow{Counter::kAuthCmds, "tokenring_logins_total", "Logins that clients tried."},
    CounterRow{Counter::kAuthErrors, "tokenring_login_failures_total",
               "Logins that failed, or were refused after too many failed ones."},
    CounterRow{Counter::kAccessDenied, "tokenring_requests_denied_total",
               "Requests that their client's identity may not make, hidden ones included."},
    CounterRow{Counter::kRateLimited, "tokenring_requests_rate_limited_total",
               "Requests and connections above an identity's quota."},
    CounterRow{Counter::kFailedOver, "tokenring_requests_failed_over_total",
               "Requests that a stand-in served."},
    CounterRow{Counter::kTlsHandshakes,
               "tokenring_tls_handshakes_total",
               "TLS handshakes with clients and with nodes, by how they ended.",
               {"side", "client"},
               {"result", "done"}},
    CounterRow{Counter::kTlsFailed, {}, {}, {"side", "client"}, {"result", "failed"}},
    CounterRow{Counter::kTlsRefused, {}, {}, {"side", "client"}, {"result", "refused"}},
    CounterRow{Counter::kTlsNodeHandshakes, {}, {}, {"side", "node"}, {"result", "done"}},
    CounterRow{Counter::kTlsNodeFailed, {}, {}, {"side", "node"}, {"result", "failed"}},
    CounterRow{Counter::kTlsResumed,
               "tokenring_tls_handshakes_resumed_total",
               "Those that were done and resumed an earlier session.",
               {"side", "client"}},
    CounterRow{Counter::kTlsNodeResumed, {}, {}, {"side", "node"}},
};

// These are told by namespace or by node, or are of the moment.
constexpr std::array kToldElsewhere{
    Counter::kCurrConnections, Counter::kBufferBytes,  Counter::kTtlCapped, Counter::kNodeErrors,
    Counter::kNodeTimeouts,    Counter::kNodeConnects, Counter::kOutOfStep, Counter::kCoalesced,
    Counter::kRejoinFlushes,   Counter::kTlsClients,
};

bool has_row(Counter counter) noexcept {
  return std::any_of(kCounterRows.begin(), kCounterRows.end(),
                     [&](const CounterRow& row) { return row.counter == counter; }) ||
         std::find(kToldElsewhere.begin(), kToldElsewhere.end(), counter) != kToldElsewhere.end();
}

}  // namespace

ProcessUsage process_usage() {
  ProcessUsage usage;
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) == 0) {
    usage.user_s = seconds(used.ru_utime);
    usage.system_s = seconds(used.ru_stime);
  }
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) usage.max_fds = limit.rlim_cur;
  usage.resident_bytes = resident_bytes();
  usage.open_fds = open_descriptors();
  return usage;
}

std::string unready_reason(const ProcessState& state) {
  if (state.draining) return "draining";
  const Snapshot& snapshot = *state.snapshot;
  if (snapshot.tallies == nullptr) return {};
  for (const Pool& pool : snapshot.pools)
    if (nodes_up(pool, snapshot.tallies->nodes) == 0)
      return fmt::format("no node of pool {} is up", pool.name);
  return {};
}

std::uint64_t nodes_up(const Pool& pool, const NodeTallies& tallies) noexcept {
  std::uint64_t up = 0;
  for (std::size_t n = 0; n < pool.nodes.size(); ++n)
    up += tallies.sum(pool.first_backend + n, NodeTally::kUpLinks) > 0;
  return up;
}

void tell_process(const MetricsSource& source, Exposition& out) {
  const ProcessState& state = source.state;
  const auto one = [&](std::string_view name, Type type, std::string_view help, auto value) {
    out.family(name, type, help);
    out.sample({}, value);
  };
  const std::uint64_t ready = unready_reason(state).empty() ? 1 : 0;
  one("memcached_up", Type::kGauge, "1 where /readyz answers 200.", ready);
  out.family("memcached_version", Type::kGauge, "The version that clients are told.");
  out.sample({{"version", TOKENRING_VERSION_TEXT}}, std::uint64_t{1});
  one("memcached_uptime_seconds", Type::kGauge, "Seconds since the process started.",
      static_cast<std::uint64_t>(std::max<std::int64_t>(0, source.now_s - source.started_s)));
  one("memcached_process_user_cpu_seconds_total", Type::kCounter, "Seconds of CPU in user space.",
      source.usage.user_s);
  one("memcached_process_system_cpu_seconds_total", Type::kCounter, "Seconds of CPU in the kernel.",
      source.usage.system_s);

  out.family("tokenring_build_info", Type::kGauge, "Always 1.");
  out.sample({{"version", TOKENRING_VERSION}, {"compiler", __VERSION__}}, std::uint64_t{1});
  one("tokenring_workers", Type::kGauge, "Worker threads.",
      std::uint64_t{source.board.of_worker.size()});
  one("tokenring_draining", Type::kGauge, "1 while the process lets its clients leave.",
      std::uint64_t{state.draining ? 1U : 0U});
  out.family("tokenring_config_reloads_total", Type::kCounter,
             "Reloads of the configuration; a failed one changed nothing.");
  out.sample({{"result", "ok"}}, state.reloads);
  out.sample({{"result", "failed"}}, state.failed_reloads);
  one("tokenring_config_last_reload_successful", Type::kGauge,
      "0 where the last reload failed, 1 otherwise.",
      std::uint64_t{state.last_reload_failed ? 0U : 1U});
  one("tokenring_config_last_reload_success_timestamp_seconds", Type::kGauge,
      "Unix time at which the present configuration was read.",
      static_cast<std::uint64_t>(state.loaded_s));

  one("process_start_time_seconds", Type::kGauge, "Unix time of the process's start.",
      static_cast<std::uint64_t>(source.started_s));
  one("process_cpu_seconds_total", Type::kCounter, "Seconds of CPU.",
      source.usage.user_s + source.usage.system_s);
  one("process_resident_memory_bytes", Type::kGauge, "Memory in use.", source.usage.resident_bytes);
  one("process_open_fds", Type::kGauge, "Open file descriptors.", source.usage.open_fds);
  one("process_max_fds", Type::kGauge, "How many may be open.", source.usage.max_fds);
}

void tell_clients(const MetricsSource& source, Exposition& out) {
  const CounterBoard& board = source.board;
  const Limits& limits = source.state.snapshot->limits;
  const std::uint64_t workers = board.of_worker.size();
  const auto sum = [&](Counter counter) { return board.sum(static_cast<std::size_t>(counter)); };
  const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t value) {
    out.family(name, Type::kGauge, help);
    out.sample({}, value);
  };
  gauge("memcached_current_connections", "Clients that are connected.",
        sum(Counter::kCurrConnections));
  gauge("memcached_max_connections", "How many clients may be.",
        limits.clients_per_worker_max * workers);
  gauge("tokenring_tls_clients", "Clients that are connected over TLS.", sum(Counter::kTlsClients));
  gauge("tokenring_buffer_bytes", "Bytes of buffers: half-read requests, unsent replies.",
        sum(Counter::kBufferBytes));
  gauge("tokenring_buffer_limit_bytes", "limits.buffer_bytes_per_worker_max of all workers.",
        limits.buffer_bytes_per_worker_max * workers);

  for (const CounterRow& row : kCounterRows) {
    if (!row.family.empty()) out.family(row.family, Type::kCounter, row.help);
    out.sample({row.label, row.more}, sum(row.counter));
  }
  for (std::size_t i = 0; i < kCounterNames.size(); ++i) {
    if (has_row(static_cast<Counter>(i))) continue;
    out.family(fmt::format("tokenring_{}_total", kCounterNames[i]), Type::kCounter,
               fmt::format("{} of stats tokenring.", kCounterNames[i]));
    out.sample({}, board.sum(i));
  }
}

void tell_audit(const AuditCounts& counts, Exposition& out) {
  const auto counter = [&](std::string_view name, std::string_view help, const auto& count) {
    out.family(name, Type::kCounter, help);
    out.sample({}, count.load(std::memory_order_relaxed));
  };
  counter("tokenring_audit_events_total", "Events that were written to the audit log.",
          counts.written);
  const AuditDrops dropped = counts.dropped();
  out.family("tokenring_audit_dropped_total", Type::kCounter,
             "Events that were lost to the audit log.");
  out.sample({{"kind", "sampled"}}, dropped.sampled);
  out.sample({{"kind", "anomaly"}}, dropped.anomalies);
  counter("tokenring_audit_misses_dropped_total",
          "Missed keys that were not looked at for enumeration.", counts.missed_dropped);
  counter("tokenring_audit_write_errors_total", "Times at which writing the audit log failed.",
          counts.write_errors);
  counter("tokenring_enumerations_suspected_total",
          "Times at which somebody missed far more keys, or failed far more logins, than usual.",
          counts.enumerations);
}

std::string metrics_text(const MetricsSource& source) {
  Exposition out;
  tell_process(source, out);
  tell_clients(source, out);
  if (source.state.audit != nullptr) tell_audit(*source.state.audit, out);
  tell_nodes(*source.state.snapshot, out);
  tell_namespaces(*source.state.snapshot, out);
  tell_keys(*source.state.snapshot, out);
  tell_introspections(*source.state.snapshot, out);
  tell_latencies(source.board, out);
  tell_times(*source.state.snapshot, out);
  return out.take();
}

}  // namespace tokenring
