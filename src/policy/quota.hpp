// Quotas: how much an identity may ask for, all its connections and all workers together.
//
// A bucket is one number that workers share, changed by compare and exchange: the moment at which
// what was taken so far would have been paid for at the agreed rate (a virtual scheduling
// algorithm, ITU-T I.371). No timer fills it, and no lock guards it.
#pragma once

#include <atomic>
#include <cstdint>

#include "tokenring/units.hpp"

namespace tokenring {

struct Quota {
  std::uint64_t requests_per_second = 0;  // 0: no bound; so for all.
  std::uint64_t bytes_per_second = 0;     // From and to its clients.
  std::uint64_t negative_per_second = 0;  // Values that say that a token is not active.
  std::uint32_t connections = 0;
  std::int64_t burst_ms = 1'000;  // For so long what was not used may be made up for.
};

// What goes in the bucket is paid later: who finds it not yet overdrawn may take any amount.
class Bucket {
 public:
  // Whether what was taken is paid for, but for what a burst may be ahead.
  [[nodiscard]] bool is_open(Instant now, std::int64_t burst_ms) const noexcept {
    return paid_at_ns_.load(std::memory_order_relaxed) - now.ns <= burst_ms * 1'000'000;
  }
  // REQUIRES: per_second > 0.
  void take(std::uint64_t n, std::uint64_t per_second, Instant now) noexcept;

 private:
  std::atomic<std::int64_t> paid_at_ns_{0};
};

// What an identity has in use. Outlives snapshots, so that a reload fills nothing up.
struct IdentityUse {
  Bucket requests;
  Bucket bytes;
  Bucket negatives;
  std::atomic<std::uint32_t> connections{0};
};

}  // namespace tokenring
