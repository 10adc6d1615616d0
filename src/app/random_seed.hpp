// Seeds of hashes, which clients must not know.
#pragma once

#include <cstdint>
#include <random>

namespace tokenring {

[[nodiscard]] inline std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace tokenring
