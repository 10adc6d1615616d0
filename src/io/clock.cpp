#include "io/clock.hpp"

#include <ctime>

namespace tokenring {

Now read_clock() noexcept {
  timespec monotonic{};
  timespec real{};
  ::clock_gettime(CLOCK_MONOTONIC, &monotonic);
  ::clock_gettime(CLOCK_REALTIME_COARSE, &real);
  return {.unix_time = {real.tv_sec},
          .instant = {std::int64_t{monotonic.tv_sec} * 1'000'000'000 + monotonic.tv_nsec}};
}

std::int64_t unix_ms() noexcept {
  timespec real{};
  ::clock_gettime(CLOCK_REALTIME, &real);
  return std::int64_t{real.tv_sec} * 1000 + real.tv_nsec / 1'000'000;
}

}  // namespace tokenring
