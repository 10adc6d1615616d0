// Latencies as histograms that one thread writes and any thread reads.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tokenring {

// Counts by duration: 16 buckets per power of two, so that a bucket is at most 1/16 wide. In units
// of 64 ns, from 0 to about 19 h.
class LatencyHistogram {
 public:
  static constexpr std::size_t kBuckets = 16 * 37;

  // `times` durations of `ns` each.
  void record(std::int64_t ns, std::uint64_t times = 1) noexcept {
    const auto each = static_cast<std::uint64_t>(ns > 0 ? ns : 0);
    auto& count = counts_[bucket_of(ns)];
    count.store(count.load(std::memory_order_relaxed) + times, std::memory_order_relaxed);
    sum_ns_.store(sum_ns_.load(std::memory_order_relaxed) + each * times,
                  std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t count_at(std::size_t bucket) const noexcept {
    return counts_[bucket].load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t sum_ns() const noexcept {
    return sum_ns_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] static std::size_t bucket_of(std::int64_t ns) noexcept {
    const std::uint64_t units = ns <= 0 ? 0 : static_cast<std::uint64_t>(ns) / kUnitNs;
    if (units < 16) return units;
    const auto shift = static_cast<std::size_t>(std::bit_width(units)) - 5;
    const std::size_t bucket = 16 * (shift + 1) + (units >> shift) - 16;
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }
  // The first duration, in ns, that is beyond the bucket.
  [[nodiscard]] static std::uint64_t end_ns(std::size_t bucket) noexcept {
    if (bucket < 16) return (bucket + 1) * kUnitNs;
    const std::size_t shift = bucket / 16 - 1;
    return ((std::uint64_t{16} + bucket % 16 + 1) << shift) * kUnitNs;
  }

 private:
  static constexpr std::uint64_t kUnitNs = 64;

  std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
  std::atomic<std::uint64_t> sum_ns_{0};
};

// X(enumerator, name): the kinds of request that are told apart.
#define TOKENRING_LATENCY_KINDS(X) \
  X(kGet, "get")                   \
  X(kSet, "set")                   \
  X(kDelete, "delete")             \
  X(kOther, "other")

enum class LatencyKind : std::uint8_t {
#define X(enumerator, name) enumerator,
  TOKENRING_LATENCY_KINDS(X)
#undef X
};

inline constexpr std::array kLatencyKindNames = {
#define X(enumerator, name) std::string_view(name),
    TOKENRING_LATENCY_KINDS(X)
#undef X
};

// Of one worker. `total`: from the wake-up that brought the request until its reply is handed to
// the kernel. `own`: the part of it that was spent in the proxy, and not waiting for a node.
struct LatencyBook {
  std::array<LatencyHistogram, kLatencyKindNames.size()> total;
  std::array<LatencyHistogram, kLatencyKindNames.size()> own;
};

}  // namespace tokenring
