#include "policy/replay_memory.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace tokenring;

namespace {

constexpr UnixTime kNow{1'790'000'000};

UnixTime in(std::int64_t seconds) {
  return {kNow.seconds + seconds};
}

}  // namespace

TEST_CASE("what was added is known until its end, in its own namespace") {
  ReplayMemory memory;
  CHECK(!memory.add("a:", "1", in(60), kNow));  // Nothing is remembered yet.
  memory.prepare(7);
  CHECK(!memory.add("a:", "1", in(60), kNow));
  CHECK(!memory.add("b:", "1", in(60), kNow));
  CHECK(!memory.add("a:", "2", in(60), kNow));
  CHECK(memory.add("a:", "1", in(60), in(30)));
  CHECK(!memory.add("a:", "2", in(90), in(60)));  // Is over.
  CHECK(memory.add("a:", "2", in(90), in(60)));   // The later end counts.
  CHECK(!memory.add("b:", "1", in(90), in(60 - ReplayMemory::kSlackS)));
  CHECK(!memory.add("a:", "3", {INT64_MAX}, kNow));
  CHECK(memory.add("a:", "3", {INT64_MAX}, in(1'000'000)));
  CHECK(!memory.add("a:", "4", kNow, kNow));  // Was never there.
  CHECK(!memory.add("a:", "4", in(60), kNow));
  memory.prepare(8);  // What is known stays.
  CHECK(memory.add("a:", "4", in(60), kNow));
}

TEST_CASE("however many there are, nothing is known that was not added") {
  ReplayMemory memory;
  memory.prepare(1);
  std::size_t known = 0;
  for (std::size_t n = 0; n < 2 * ReplayMemory::kCells; ++n)
    known += memory.add("", std::to_string(n), in(60), kNow);
  CHECK(known == 0);
  for (std::size_t n = ReplayMemory::kCells * 2 - 1000; n < ReplayMemory::kCells * 2; ++n)
    known += memory.add("", std::to_string(n), in(60), kNow);
  CHECK(known > 990);  // The last ones lie there but for a few.
}

TEST_CASE("writers that meet in a cell raise no alarm") {
  ReplayMemory memory;
  std::vector<std::thread> threads;
  std::atomic<std::size_t> known{0};
  for (int thread = 0; thread < 3; ++thread)
    threads.emplace_back([&, thread] {
      memory.prepare(static_cast<std::uint64_t>(thread));
      for (int n = 0; n < 300'000; ++n)
        if (memory.add("", std::to_string(n * 3 + thread), in(60), kNow)) ++known;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(known == 0);
}
