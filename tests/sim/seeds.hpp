// The seeds of a simulation: TOKENRING_SEEDS of them (300), or the one TOKENRING_SEED.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace tokenring::sim {

struct SeedsRun {
  std::uint64_t count = 0;
  std::uint64_t failed = 0;
};

// `run(seed)` returns what is wrong; empty: nothing. Prints each seed that fails, and stops at the
// tenth.
template <typename Run>
SeedsRun run_seeds(Run&& run) {
  const auto number = [](const char* text) { return std::strtoull(text, nullptr, 10); };
  const char* one = std::getenv("TOKENRING_SEED");
  const char* many = std::getenv("TOKENRING_SEEDS");
  const std::uint64_t first = one != nullptr ? number(one) : 1;
  const std::uint64_t all = one != nullptr ? 1 : many != nullptr ? number(many) : 300;
  SeedsRun done;
  for (std::uint64_t seed = first; seed < first + all && done.failed < 10; ++seed) {
    ++done.count;
    const std::string wrong = run(seed);
    if (wrong.empty()) continue;
    ++done.failed;
    fmt::print("{}\n  again with TOKENRING_SEED={}\n", wrong, seed);
  }
  return done;
}

}  // namespace tokenring::sim
