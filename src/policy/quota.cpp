#include "policy/quota.hpp"

#include <algorithm>

namespace tokenring {

void Bucket::take(std::uint64_t n, std::uint64_t per_second, Instant now) noexcept {
  constexpr std::int64_t kSecondNs = 1'000'000'000;
  // What is taken at once counts for a day at most, so that no sum overflows.
  constexpr std::int64_t kCostNsMax = 86'400 * kSecondNs;
  const double cost = static_cast<double>(n) / static_cast<double>(per_second) * double{kSecondNs};
  const std::int64_t cost_ns =
      cost < static_cast<double>(kCostNsMax) ? static_cast<std::int64_t>(cost) : kCostNsMax;
  std::int64_t before = paid_at_ns_.load(std::memory_order_relaxed);
  std::int64_t after = 0;
  do {
    after = std::min(std::max(before, now.ns) + cost_ns, now.ns + kCostNsMax);
  } while (!paid_at_ns_.compare_exchange_weak(before, after, std::memory_order_relaxed));
}

}  // namespace tokenring
