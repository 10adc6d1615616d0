// Steps of times to answer, as namespaces count them: coarser than LatencyHistogram's buckets, for
// there may be thousands of namespaces.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tokenring {

// Four steps per power of two, so that a step is at most 1/4 wide, from 8.192 us to 4.29 s. The
// first one is of all that is shorter, the last one of all that is longer.
inline constexpr std::size_t kLatencySteps = 78;

constexpr std::size_t latency_step_of(std::int64_t ns) noexcept {
  constexpr std::size_t kFirstWidth = 14;  // Of 8192.
  const auto time = static_cast<std::uint64_t>(std::max<std::int64_t>(0, ns));
  const auto width = static_cast<std::size_t>(std::bit_width(time));
  if (width < kFirstWidth) return 0;
  const std::size_t quarter = (time >> (width - 3)) & 3;
  return std::min(1 + (width - kFirstWidth) * 4 + quarter, kLatencySteps - 1);
}

// The first time, in ns, that is beyond the step. REQUIRES: it is not the last one.
constexpr std::uint64_t latency_step_end_ns(std::size_t step) noexcept {
  if (step == 0) return 8192;
  return std::uint64_t{5 + (step - 1) % 4} << (11 + (step - 1) / 4);
}

// How often which times were seen, for a histogram in steps of two from 8.192 us to 2.15 s. In all
// there are `kCount` counts, for two kinds of time: buckets, then their sum in ns.
struct TimeCounts {
  static constexpr std::size_t kBounds = 19;
  static constexpr std::uint64_t kFirstBoundNs = 8192;
  static constexpr std::size_t kSum = kBounds + 1;  // The last bucket is of all that is longer.
  static constexpr std::size_t kOwn = kSum + 1;     // From here on: the proxy's own share.
  static constexpr std::size_t kCount = 2 * kOwn;

  static constexpr std::size_t bucket_of(std::int64_t ns) noexcept {
    constexpr std::size_t kFirstWidth = 14;
    const auto width = static_cast<std::size_t>(
        std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(0, ns))));
    return width < kFirstWidth ? 0 : std::min(width - kFirstWidth + 1, kBounds);
  }
};

}  // namespace tokenring
