// Pacer: how long to let requests gather before the next wait for events.
//
// Most of a proxy's time goes into system calls, each of which carries more bytes when it comes a
// little later. The wait is a small share of what a node takes to answer, and only taken when
// further requests are to be expected meanwhile, so that light load is not delayed at all.
#pragma once

#include <algorithm>
#include <cstdint>

namespace tokenring {

class Pacer {
 public:
  // `max_ns`: the longest wait; 0: never any.
  explicit Pacer(std::int64_t max_ns) noexcept : max_ns_(max_ns) {}
  void set_max(std::int64_t max_ns) noexcept { max_ns_ = max_ns; }

  // Tells what was served up to `now_ns`: requests in all, and an average response time of the
  // nodes.
  void observe(std::int64_t now_ns, std::uint64_t requests, std::int64_t response_ns) noexcept {
    response_ns_ = response_ns;
    const std::int64_t elapsed = now_ns - since_ns_;
    if (elapsed < kWindowNs) return;
    const double recent = static_cast<double>(requests - requests_) / static_cast<double>(elapsed);
    // A pause in the traffic says nothing of what comes after it but that it is over.
    rate_per_ns_ = elapsed > 16 * kWindowNs ? recent : (rate_per_ns_ + recent) / 2;
    since_ns_ = now_ns;
    requests_ = requests;
  }

  // Nanoseconds to wait now; 0 for not at all.
  [[nodiscard]] std::int64_t wait_ns(std::uint32_t in_flight) const noexcept {
    if (in_flight < kInFlightMin) return 0;
    const std::int64_t wait = std::min(max_ns_, response_ns_ / 3);
    if (wait < kWaitMinNs) return 0;
    return rate_per_ns_ * static_cast<double>(wait) >= kArrivalsMin ? wait : 0;
  }

 private:
  static constexpr std::int64_t kWindowNs = 2'000'000;
  static constexpr std::int64_t kWaitMinNs = 10'000;
  static constexpr std::uint32_t kInFlightMin = 4;
  static constexpr double kArrivalsMin = 1.6;

  std::int64_t max_ns_;
  std::int64_t since_ns_ = 0;
  std::uint64_t requests_ = 0;
  std::int64_t response_ns_ = 0;
  double rate_per_ns_ = 0;
};

}  // namespace tokenring
