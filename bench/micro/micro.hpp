// What the micro-benchmarks share. Include in one file of a program: it counts allocations.
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <vector>

#include "unit/count_allocations.hpp"

namespace tokenring::micro {

// Counts what the loop allocates, and tells it for each round; and what each of the round's
// `requests` takes, where these are more than one.
class Loop {
 public:
  explicit Loop(benchmark::State& state, double requests = 1)
      : state_(state), requests_(requests), before_(allocations) {}
  ~Loop() {
    using benchmark::Counter;
    state_.counters["allocations"] =
        Counter(static_cast<double>(allocations - before_), Counter::kAvgIterations);
    if (requests_ > 1)
      state_.counters["each"] =
          Counter(requests_, Counter::kIsIterationInvariantRate | Counter::kInvert);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

 private:
  benchmark::State& state_;
  double requests_;
  std::size_t before_;
};

// The least of several repetitions is what the code costs; the rest is what else the machine does.
inline void least(benchmark::internal::Benchmark* bench) {
  bench->Repetitions(60)->MinTime(0.003)->ReportAggregatesOnly()->ComputeStatistics(
      "least", [](const std::vector<double>& times) {
        return *std::min_element(times.begin(), times.end());
      });
}

}  // namespace tokenring::micro
