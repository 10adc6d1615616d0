// The engine without sockets: a client's bytes in, a node's request out, the node's bytes in, the
// client's reply out. The nodes' replies are ready made; that they are copied in, as the kernel
// would, is part of the time.
#include <string>

#include "cost/engine_rig.hpp"
#include "micro.hpp"

using tokenring::cost::EngineRig;
using tokenring::micro::Loop;

namespace {

void replay(benchmark::State& state, const std::string& request, double requests) {
  EngineRig rig({.nodes = 4});
  for (int i = 0; i < 200; ++i) rig.ask(request);
  const Loop loop(state, requests);
  for (auto _ : state) benchmark::DoNotOptimize(rig.ask_again(request));
}

// As many hits as state.range(0) are sent at once.
void get_hit(benchmark::State& state) {
  std::string request;
  for (int i = 0; i < state.range(0); ++i) request += "get hit:0123456789abcdef\r\n";
  replay(state, request, static_cast<double>(state.range(0)));
}

// The keys are not of one node, so that each of the four has something to do.
void get_hit_of_all_nodes(benchmark::State& state) {
  std::string request;
  for (int i = 0; i < state.range(0); ++i)
    request += "get hit:" + std::to_string(1'000'000'000 + i) + "\r\n";
  replay(state, request, static_cast<double>(state.range(0)));
}

void get_miss(benchmark::State& state) {
  std::string request;
  for (int i = 0; i < state.range(0); ++i) request += "get miss:0123456789abcdef\r\n";
  replay(state, request, static_cast<double>(state.range(0)));
}

void get_of_10_keys(benchmark::State& state) {
  std::string request = "get";
  for (int i = 0; i < 10; ++i) request += " hit:" + std::to_string(1'000'000'000 + i);
  replay(state, request + "\r\n", 10);
}

// Ten of them at once: their slots are more than the nearest caches hold.
void get_of_100_keys(benchmark::State& state) {
  std::string request;
  for (int i = 0; i < 1000; ++i)
    request += (i == 0         ? "get hit:"
                : i % 100 == 0 ? "\r\nget hit:"
                               : " hit:") +
               std::to_string(1'000'000'000 + i);
  replay(state, request + "\r\n", 1000);
}

BENCHMARK(get_hit)->Arg(1)->Arg(16)->Apply(tokenring::micro::least);
BENCHMARK(get_hit_of_all_nodes)->Arg(16)->Apply(tokenring::micro::least);
BENCHMARK(get_miss)->Arg(1)->Arg(16)->Apply(tokenring::micro::least);
BENCHMARK(get_of_10_keys)->Apply(tokenring::micro::least);
BENCHMARK(get_of_100_keys)->Apply(tokenring::micro::least);

}  // namespace

BENCHMARK_MAIN();
