// Counters: one set per worker, written by that worker only, readable by all.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>
#include <vector>

#include "policy/replay_memory.hpp"
#include "proxy/latency.hpp"

namespace tokenring {

// X(enumerator, memcached's own name of the counter, or ours).
#define TOKENRING_COUNTERS(X)                       \
  X(kCurrConnections, "curr_connections")           \
  X(kBufferBytes, "buffer_bytes")                   \
  X(kTotalConnections, "total_connections")         \
  X(kRejectedConnections, "rejected_connections")   \
  X(kCmdGet, "cmd_get")                             \
  X(kCmdSet, "cmd_set")                             \
  X(kCmdDelete, "cmd_delete")                       \
  X(kCmdArithmetic, "cmd_arithmetic")               \
  X(kCmdTouch, "cmd_touch")                         \
  X(kCmdFlush, "cmd_flush")                         \
  X(kGetHits, "get_hits")                           \
  X(kGetMisses, "get_misses")                       \
  X(kTouchHits, "touch_hits")                       \
  X(kTouchMisses, "touch_misses")                   \
  X(kBytesRead, "bytes_read")                       \
  X(kBytesWritten, "bytes_written")                 \
  X(kTtlCapped, "ttl_capped")                       \
  X(kNodeErrors, "node_errors")                     \
  X(kNodeTimeouts, "node_timeouts")                 \
  X(kNodeConnects, "node_connects")                 \
  X(kOutOfStep, "node_out_of_step")                 \
  X(kRequestsFailed, "requests_failed")             \
  X(kRequestsRefused, "requests_refused")           \
  X(kFailedOver, "requests_failed_over")            \
  X(kCoalesced, "gets_coalesced")                   \
  X(kRejoinFlushes, "node_rejoin_flushes")          \
  X(kAuthCmds, "auth_cmds")                         \
  X(kAuthErrors, "auth_errors")                     \
  X(kAccessDenied, "access_denied")                 \
  X(kRateLimited, "rate_limited")                   \
  X(kIdleKicks, "idle_kicks")                       \
  X(kSlowReadKicks, "slow_request_kicks")           \
  X(kSlowWriteKicks, "slow_reader_kicks")           \
  X(kTlsClients, "tls_clients")                     \
  X(kTlsHandshakes, "tls_handshakes")               \
  X(kTlsResumed, "tls_handshakes_resumed")          \
  X(kTlsFailed, "tls_handshakes_failed")            \
  X(kTlsRefused, "tls_handshakes_refused")          \
  X(kTlsNodeHandshakes, "tls_node_handshakes")      \
  X(kTlsNodeResumed, "tls_node_handshakes_resumed") \
  X(kTlsNodeFailed, "tls_node_handshakes_failed")

enum class Counter : std::uint8_t {
#define X(enumerator, name) enumerator,
  TOKENRING_COUNTERS(X)
#undef X
};

inline constexpr std::array kCounterNames = {
#define X(enumerator, name) std::string_view(name),
    TOKENRING_COUNTERS(X)
#undef X
};

// Those that are of the moment, and not counts.
constexpr bool is_gauge(Counter counter) noexcept {
  return counter == Counter::kCurrConnections || counter == Counter::kBufferBytes ||
         counter == Counter::kTlsClients;
}

class Counters {
 public:
  // One writer: no read-modify-write instruction is needed.
  void add(Counter counter, std::uint64_t n = 1) noexcept {
    auto& value = values_[static_cast<std::size_t>(counter)];
    value.store(value.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void subtract(Counter counter, std::uint64_t n = 1) noexcept { add(counter, 0 - n); }
  void set(Counter counter, std::uint64_t n) noexcept {
    values_[static_cast<std::size_t>(counter)].store(n, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t get(std::size_t index) const noexcept {
    return values_[index].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, kCounterNames.size()> values_{};
};

// All workers' counters. Built before the workers and alive as long as any of them.
struct CounterBoard {
  explicit CounterBoard(std::size_t workers) : of_worker(workers), latencies(workers) {}
  std::vector<Counters> of_worker;
  std::vector<LatencyBook> latencies;  // By worker.
  ReplayMemory replays;                // Of all of them.

  [[nodiscard]] std::uint64_t sum(std::size_t index) const noexcept {
    std::uint64_t total = 0;
    for (const Counters& counters : of_worker) total += counters.get(index);
    return total;
  }
  // Since the last `stats reset`; what is of the moment is not reset.
  [[nodiscard]] std::uint64_t since_reset(std::size_t index) const noexcept {
    return sum(index) - at_reset_[index].load(std::memory_order_relaxed);
  }
  void reset() noexcept {
    for (std::size_t i = 0; i < at_reset_.size(); ++i)
      if (!is_gauge(static_cast<Counter>(i))) at_reset_[i].store(sum(i), std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, kCounterNames.size()> at_reset_{};
};

}  // namespace tokenring
