// Entropy that repeats, for tests and counts of what a request costs.
#pragma once

#include <cstdint>
#include <random>
#include <span>

#include "tokenring/envelope.hpp"

namespace tokenring::seal_kit {

class SeededEntropy final : public Entropy {
 public:
  explicit SeededEntropy(std::uint64_t seed = 1) : random_(seed) {}
  [[nodiscard]] bool fill(std::span<unsigned char> out) noexcept override {
    if (fails) return false;
    for (unsigned char& byte : out) byte = static_cast<unsigned char>(random_());
    return true;
  }
  bool fails = false;

 private:
  std::mt19937_64 random_;
};

}  // namespace tokenring::seal_kit
