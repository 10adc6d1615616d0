#include <doctest/doctest.h>

#include <array>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "base/address_space.hpp"
#include "base/buffer.hpp"
#include "base/slab.hpp"
#include "tokenring/units.hpp"

using namespace tokenring;

namespace {

std::string drain(OutQueue& queue, std::size_t step) {
  std::string all;
  std::array<std::string_view, 4> pieces;
  while (!queue.empty()) {
    const std::size_t count = queue.front(pieces);
    REQUIRE(count > 0);
    const std::size_t n = std::min(step, pieces[0].size());
    all += pieces[0].substr(0, n);
    queue.consume(n);
  }
  return all;
}

}  // namespace

TEST_CASE("an address space never moves, begins as zeros, and ends") {
  AddressSpace space(std::size_t{4} << 20);
  char* const begin = static_cast<char*>(space.begin());
  space.use(1);
  begin[0] = 'a';
  space.use(std::size_t{3} << 20);
  CHECK(static_cast<char*>(space.begin()) == begin);
  CHECK(begin[0] == 'a');
  CHECK(begin[(std::size_t{3} << 20) - 1] == 0);
  space.use(1);  // What is usable stays so.
  CHECK(begin[(std::size_t{3} << 20) - 1] == 0);
  CHECK_THROWS_AS(space.use((std::size_t{4} << 20) + 1), std::bad_alloc);
}

TEST_CASE("a slab has room for what it was made for, and says so beyond") {
  Slab<int> slab(128);
  for (int i = 0; i < 128; ++i) static_cast<void>(slab.insert(i));
  CHECK_THROWS_AS(slab.insert(128), std::bad_alloc);
  slab.erase(7);
  CHECK(slab.insert(128).index == 7);
}

TEST_CASE("addresses that are not to be had are told of") {
  const auto take = [] { const AddressSpace space(std::size_t{1} << 60); };
  CHECK_THROWS_AS(take(), std::system_error);
}

TEST_CASE("a slab's objects stay where they are, and an id outlives none of them") {
  Slab<std::string> slab(20'000);
  const SlabId first = slab.insert("first, and longer than what a string keeps within itself");
  const std::string* const at = slab.find(first);
  std::vector<SlabId> ids;
  for (int i = 0; i < 10'000; ++i) ids.push_back(slab.insert(std::to_string(i)));
  CHECK(slab.live() == 10'001);
  CHECK(slab.find(first) == at);
  for (int i = 0; i < 10'000; ++i)
    REQUIRE(*slab.find(ids[static_cast<std::size_t>(i)]) == std::to_string(i));
  slab.erase(first.index);
  CHECK(slab.find(first) == nullptr);
  const SlabId second = slab.insert("second");
  CHECK(second.index == first.index);
  CHECK(slab.find(first) == nullptr);
  CHECK(*slab.find(second) == "second");
  CHECK(!slab.has(UINT32_MAX));
}

TEST_CASE("an out queue gives back what was put in, in order, whatever the sizes") {
  BufferPool pool;
  for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
    OutQueue queue;
    std::string expected;
    for (std::size_t i = 0; i < 60; ++i) {
      const std::string bytes(i * i + 1, static_cast<char>('a' + i % 26));
      if (i % 7 == 3) {
        Buffer owned = pool.take(bytes.size());
        owned.append(bytes);
        queue.append(std::move(owned));
      } else {
        queue.append(pool, bytes);
      }
      expected += bytes;
    }
    CHECK(queue.size() == expected.size());
    CHECK(drain(queue, step) == expected);
    CHECK(pool.bytes_lent() == 0);
  }
}

TEST_CASE("truncating an out queue drops only its youngest bytes") {
  BufferPool pool;
  OutQueue queue;
  queue.append(pool, "keep this");
  const std::size_t mark = queue.size();
  queue.append(pool, std::string(50'000, 'x'));
  queue.append(pool, "and this");
  queue.truncate(mark);
  queue.append(pool, "!");
  CHECK(drain(queue, 3) == "keep this!");
}

TEST_CASE("an exptime keeps its meaning through Expiry") {
  const UnixTime now{1'790'000'000};
  CHECK(Expiry::from_exptime(0).is_never());
  CHECK(Expiry::from_exptime(-5).is_immediate());
  CHECK(Expiry::from_exptime(-5).exptime() == -1);
  CHECK(Expiry::from_exptime(2'592'000).remaining_s(now) == 2'592'000);
  CHECK(Expiry::from_exptime(1'790'000'005).remaining_s(now) == 5);
  CHECK(Expiry::from_exptime(2'592'001).remaining_s(now) == 0);
}

TEST_CASE("a bound never lengthens a life") {
  const UnixTime now{1'790'000'000};
  CHECK(Expiry::from_exptime(1'790'000'005).bounded_by(60, now).exptime() == 1'790'000'005);
  CHECK(Expiry::from_exptime(0).bounded_by(60, now).exptime() == 60);
  CHECK(Expiry::from_exptime(-1).bounded_by(60, now).exptime() == -1);
  CHECK(Expiry::from_exptime(1'790'000'100).bounded_by(60, now).exptime() == 60);
  CHECK(Expiry::from_exptime(59).bounded_by(60, now).exptime() == 59);
  CHECK(Expiry::never().bounded_by(5'000'000, now).exptime() == 1'795'000'000);
}
