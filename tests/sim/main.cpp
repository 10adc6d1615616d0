// Runs seeds: TOKENRING_SEEDS of them (300), or the one TOKENRING_SEED. Prints each that fails.
#include <fmt/format.h>

#include <cstdlib>

#include "world.hpp"

int main() {
  using namespace tokenring::sim;
  const char* one = std::getenv("TOKENRING_SEED");
  const char* many = std::getenv("TOKENRING_SEEDS");
  const std::uint64_t first = one != nullptr ? std::strtoull(one, nullptr, 10) : 1;
  const std::uint64_t count =
      one != nullptr ? 1 : (many != nullptr ? std::strtoull(many, nullptr, 10) : 300);
  std::uint64_t failed = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const Options options = Options::of(seed);
    World world(options);
    const std::string wrong = world.run();
    if (wrong.empty()) continue;
    ++failed;
    fmt::print("{}: {}\n  again with TOKENRING_SEED={}\n", options.text(), wrong, seed);
    if (failed == 10) break;
  }
  fmt::print("{} seeds, {} failed\n", count, failed);
  return failed == 0 && count > 0 ? 0 : 1;
}
