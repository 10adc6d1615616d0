// The parts of the ring: hashes against published values, the rule for colliding points, and that
// looking up allocates nothing.
#include <doctest/doctest.h>

#include <map>
#include <string>
#include <vector>

#include "count_allocations.hpp"
#include "ring/continuum.hpp"
#include "ring/digests.hpp"
#include "ring/hashes.hpp"

using namespace tokenring;

TEST_CASE("digests give their published check values") {
  CHECK(crc32_ieee("123456789") == 0xcbf43926);
  CHECK((crc16_wide("123456789") & 0xffff) == 0x31c3);
  CHECK(md5_words("")[0] == 0xd98c1dd4);
  CHECK(md5_words("abc") ==
        std::array<std::uint32_t, 4>{0x98500190, 0xb04fd23c, 0x7d3f96d6, 0x727fe128});
  CHECK(sha1_head("abc") == 0xa9993e36);
  CHECK(xxh3("") == 0x2d06800538d394c2);
}

TEST_CASE("murmur3 in pieces is murmur3 at once") {
  Murmur3 hello(0);
  hello.update("hello");
  CHECK(hello.finish() == 0x248bfa47);
  CHECK(Murmur3(0).finish() == 0);
  const std::string text = "10.0.0.1:11211-session:abc";
  Murmur3 whole(0);
  whole.update(text);
  for (std::size_t i = 0; i <= text.size(); ++i) {
    for (std::size_t j = i; j <= text.size(); ++j) {
      Murmur3 pieces(0);
      pieces.update(text.substr(0, i));
      pieces.update(text.substr(i, j - i));
      pieces.update(text.substr(j));
      CHECK(pieces.finish() == whole.finish());
    }
  }
}

TEST_CASE("Java's hashes see UTF-16 units, C's see signed bytes") {
  const HashFunction java = row_of(KeyHash::kJava).c;
  CHECK(java("hello", 0) == 99162322);
  CHECK(java("\xc3\xa9", 0) == 0xe9);
  CHECK(java("\xe9\x8d\xb5", 0) == 0x9375);
  CHECK(java("\xf0\x9f\x98\x80", 0) == 0xd83d * 31 + 0xde00);
  CHECK(java("\xff\x80", 0) == 0xff * 31 + 0x80);  // Not UTF-8.
  CHECK(java("a\xe9\x8d", 0) == ('a' * 31 + 0xe9) * 31 + 0x8d);
  const KeyHashRow& fnv = row_of(KeyHash::kFnv1a_32);
  CHECK(fnv.c("foobar", 0) == 0xbf9cf968);
  CHECK(fnv.java("foobar", 0) == 0xbf9cf968);
  CHECK(fnv.c("\xe9", 0) == ((0x811c9dc5 ^ 0xffffffe9) * std::uint32_t{16777619}));
  CHECK(fnv.java("\xc3\xa9", 0) == ((0x811c9dc5 ^ 0xe9) * std::uint32_t{16777619}));
}

TEST_CASE("of nodes that draw one point each original keeps its own") {
  // Two names that share a point, and a key that it answers for in a ring of just those two.
  std::vector<Point> points;
  for (std::uint32_t node = 0; node < 2000; ++node) {
    add_md5_points(points, "n" + std::to_string(node), node, 40);
  }
  std::map<std::uint32_t, std::uint32_t> drawn;
  std::uint32_t at = 0;
  std::string low;
  std::string high;
  for (const Point& point : points) {
    const auto [other, fresh] = drawn.emplace(point.position, point.node);
    if (fresh || other->second == point.node) continue;
    at = point.position;
    low = "n" + std::to_string(other->second);
    high = "n" + std::to_string(point.node);
    if (high < low) std::swap(low, high);
    break;
  }
  REQUIRE_FALSE(low.empty());
  std::vector<Point> both;
  add_md5_points(both, low, 0, 40);
  add_md5_points(both, high, 1, 40);
  std::uint32_t gap = 0xffffffff;
  for (const Point& point : both) {
    if (point.position != at) gap = std::min(gap, at - point.position);
  }
  std::string key;
  for (int i = 0; key.empty() || at - md5_words(key)[0] >= gap; ++i) key = "k" + std::to_string(i);

  const auto keeper = [&](Placement placement, bool low_first) {
    std::vector<NodeSpec> nodes{{.address = "a:1", .name = low}, {.address = "b:1", .name = high}};
    if (!low_first) std::swap(nodes[0], nodes[1]);
    return nodes[Ring::make(nodes, {.placement = placement, .hash = KeyHash::kMd5})->owner_of(key)]
        .name;
  };
  CHECK(keeper(Placement::kLibmemcachedWeighted, true) == low);
  CHECK(keeper(Placement::kLibmemcachedWeighted, false) == high);
  CHECK(keeper(Placement::kMcproxyKetama, true) == low);
  CHECK(keeper(Placement::kSpymemcached, true) == high);
  CHECK(keeper(Placement::kSpymemcached, false) == low);
  const std::string by_name = at % 2 == 0 ? low : high;
  CHECK(keeper(Placement::kXmemcached, true) == by_name);
  CHECK(keeper(Placement::kXmemcached, false) == by_name);
}

TEST_CASE("looking up allocates nothing") {
  std::vector<NodeSpec> nodes;
  for (int i = 0; i < 8; ++i) {
    nodes.push_back(
        {.address = "10.0.0.1:" + std::to_string(11211 + i), .name = "n" + std::to_string(i)});
  }
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back("some:{tag" + std::to_string(i) + "}:suffix");
  for (int i = 0; i <= static_cast<int>(Placement::kModula); ++i) {
    const auto placement = static_cast<Placement>(i);
    const auto ring = Ring::make(nodes, {.placement = placement, .hash_tag = "{}"});
    REQUIRE(ring.has_value());
    std::array<std::uint32_t, 8> owners{};
    const std::size_t before = allocations;
    std::uint32_t sum = 0;
    for (const std::string& key : keys) {
      sum += ring->owner_of(key);
      ring->owners_of(key, owners);
    }
    CHECK(allocations == before);
    CHECK(sum < keys.size() * 8);
  }
}
