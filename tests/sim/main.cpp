#include <fmt/format.h>

#include "seeds.hpp"
#include "world.hpp"

int main() {
  using namespace tokenring::sim;
  const SeedsRun done = run_seeds([](std::uint64_t seed) {
    const Options options = Options::of(seed);
    World world(options);
    const std::string wrong = world.run();
    return wrong.empty() ? wrong : options.text() + ": " + wrong;
  });
  fmt::print("{} seeds, {} failed\n", done.count, done.failed);
  return done.failed == 0 && done.count > 0 ? 0 : 1;
}
