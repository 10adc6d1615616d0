// How long a worker lets requests gather.
#include "io/pacer.hpp"

#include <doctest/doctest.h>

using namespace tokenring;

namespace {

// Requests come one a microsecond and are answered in 400 us.
void busy(Pacer& pacer) {
  for (std::int64_t us = 0; us <= 40'000; us += 10)
    pacer.observe(us * 1000, static_cast<std::uint64_t>(us), 400'000);
}

}  // namespace

TEST_CASE("requests are waited for under load, up to the limit of the moment") {
  Pacer pacer(50'000);
  CHECK(pacer.wait_ns(100) == 0);  // Nothing is known yet.
  busy(pacer);
  CHECK(pacer.wait_ns(100) == 50'000);
  CHECK(pacer.wait_ns(3) == 0);
  pacer.set_max(1'000'000);
  CHECK(pacer.wait_ns(100) == 133'333);  // A third of what the nodes take.
  pacer.set_max(0);
  CHECK(pacer.wait_ns(100) == 0);
}
