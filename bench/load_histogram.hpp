// Latencies in logarithmic buckets: fixed memory, every value kept to within 0.8 %.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace tokenring::bench {

class Histogram {
 public:
  void add(std::uint64_t value) noexcept {
    ++buckets_[index_of(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  // The value that a share `q` (0 to 1) of all values does not exceed; 0 when empty.
  [[nodiscard]] std::uint64_t quantile(double q) const noexcept {
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
      seen += buckets_[i];
      if (seen > rank) return std::min(upper_end(i), max_);
    }
    return max_;
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }

 private:
  // Each power of two is cut into 2^kBits buckets; the smallest values have one bucket each.
  static constexpr unsigned kBits = 7;
  static constexpr std::size_t kPerPower = std::size_t{1} << kBits;

  static constexpr std::size_t index_of(std::uint64_t value) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > kBits + 1 ? width - (kBits + 1) : 0;
    return shift * kPerPower + static_cast<std::size_t>(value >> shift);
  }

  static constexpr std::uint64_t upper_end(std::size_t index) noexcept {
    const std::size_t shift = index < 2 * kPerPower ? 0 : index / kPerPower - 1;
    return ((std::uint64_t{index - shift * kPerPower} + 1) << shift) - 1;
  }

  std::array<std::uint64_t, (64 - kBits + 1) * kPerPower> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace tokenring::bench
