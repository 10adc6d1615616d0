#include "tokenring/ring.hpp"

#include <doctest/doctest.h>

#include <array>
#include <numeric>
#include <set>
#include <string>
#include <vector>

using namespace tokenring;

namespace {

constexpr std::array kAllPlacements{
    Placement::kKetama,
    Placement::kLibmemcachedWeighted,
    Placement::kLibmemcachedKetama,
    Placement::kTwemproxy,
    Placement::kTwemproxyModula,
    Placement::kLastfm,
    Placement::kSpymemcached,
    Placement::kXmemcached,
    Placement::kEvcache,
    Placement::kMcproxyRing,
    Placement::kMcproxyKetama,
    Placement::kMcproxyTwemproxy,
    Placement::kMcproxyEvcache,
    Placement::kMcproxyJump,
    Placement::kDalli,
    Placement::kPymemcache,
    Placement::kCrc32Mod,
    Placement::kModula,
};

std::vector<NodeSpec> nodes(std::size_t count) {
  std::vector<NodeSpec> nodes;
  for (std::size_t i = 0; i < count; ++i) {
    nodes.push_back({.address = "10.0.0." + std::to_string(i + 1) + ":11211"});
  }
  return nodes;
}

Ring ring_of(const std::vector<NodeSpec>& nodes, const RingOptions& options = {}) {
  auto ring = Ring::make(nodes, options);
  REQUIRE_MESSAGE(ring.has_value(), ring.error());
  return *std::move(ring);
}

std::string error_of(const std::vector<NodeSpec>& nodes, const RingOptions& options = {}) {
  const auto ring = Ring::make(nodes, options);
  return ring ? "" : ring.error();
}

std::string key(int i) {
  return "user:" + std::to_string(i);
}

bool same_layout(const Ring& a, const Ring& b) {
  for (int i = 0; i < 2000; ++i) {
    if (a.owner_of(key(i)) != b.owner_of(key(i))) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("names lead to their placement or hash and back") {
  for (const Placement placement : kAllPlacements) {
    CHECK(placement_named(name_of(placement)) == placement);
    CHECK(placement_names().find(name_of(placement)) != std::string::npos);
  }
  for (int i = 0; i <= static_cast<int>(KeyHash::kJava); ++i) {
    const auto hash = static_cast<KeyHash>(i);
    CHECK(key_hash_named(name_of(hash)) == hash);
  }
  CHECK(placement_named("libmemcached-weighted") == Placement::kLibmemcachedWeighted);
  CHECK(key_hash_named("fnv1a_64") == KeyHash::kFnv1a_64);
  CHECK_FALSE(placement_named("Ketama").has_value());
  CHECK_FALSE(placement_named("").has_value());
  CHECK_FALSE(key_hash_named("sha1").has_value());
  CHECK(key_hash_names().starts_with("xxh3, md5, one_at_a_time, fnv1_32"));
}

TEST_CASE("what a hash tag encloses is hashed, the whole key when there is nothing") {
  CHECK(hashed_part("{user1}.cart", "{}") == "user1");
  CHECK(hashed_part("a{b}{c}", "{}") == "b");
  CHECK(hashed_part("a}b{c}", "{}") == "c");
  CHECK(hashed_part("{{x}}", "{}") == "{x");
  CHECK(hashed_part("$a$b", "$$") == "a");
  for (const std::string_view whole : {"plain", "{}x", "{x", "x}", "}{", "{", ""}) {
    CHECK(hashed_part(whole, "{}") == whole);
  }
  CHECK(hashed_part("{user1}.cart", "") == "{user1}.cart");
}

TEST_CASE("keys of one tag share a node, by default under ketama only") {
  const Ring ring = ring_of(nodes(7));
  CHECK(ring.hash_tag() == "{}");
  for (int i = 0; i < 200; ++i) {
    const std::string tag = key(i);
    CHECK(ring.owner_of("{" + tag + "}.cart") == ring.owner_of(tag));
    CHECK(ring.owner_of("a:{" + tag + "}:b") == ring.owner_of(tag));
  }
  for (const Placement placement : kAllPlacements) {
    if (placement == Placement::kKetama) continue;
    CHECK(ring_of(nodes(7), {.placement = placement}).hash_tag().empty());
  }
  CHECK(ring_of(nodes(7), {.hash_tag = ""}).hash_tag().empty());
  CHECK(ring_of(nodes(7), {.placement = Placement::kDalli, .hash_tag = "<>"}).hash_tag() == "<>");
}

TEST_CASE("an empty tag hashes nothing in memcached's proxy and the whole key elsewhere") {
  const Ring proxy = ring_of(nodes(50), {.placement = Placement::kMcproxyRing, .hash_tag = "{}"});
  const Ring ours = ring_of(nodes(50));
  std::set<std::uint32_t> owners;
  for (int i = 0; i < 100; ++i) {
    CHECK(proxy.owner_of("{}" + key(i)) == proxy.owner_of(""));
    owners.insert(ours.owner_of("{}" + key(i)));
  }
  CHECK(owners.size() > 20);
}

TEST_CASE("errors tell the operator what to change") {
  CHECK(error_of({}) == "pool needs at least one node");
  CHECK(error_of({{.address = "a:1"}, {.address = "b:1", .weight = 0}}) ==
        "node b:1 has weight 0; weights start at 1");
  CHECK(error_of({{.address = "a:1"}, {.address = "b:1"}, {.address = "a:1"}}) ==
        "nodes a:1 and a:1 have the same ring name \"a:1\"; give one a name");
  CHECK(error_of({{.address = "a:1", .name = "x"}, {.address = "b:1", .name = "x"}}) ==
        "nodes a:1 and b:1 have the same ring name \"x\"; give one a name");
  CHECK(error_of({{.address = "10.0.0.1:1"}, {.address = "10.0.0.1:2"}},
                 {.placement = Placement::kEvcache})
            .find("same ring name \"10.0.0.1/10.0.0.1:11211\"") != std::string::npos);
  CHECK(error_of(nodes(2), {.hash_tag = "{"}) ==
        "hash tag \"{\" must be two characters, or empty for none");
  CHECK(error_of(nodes(2), {.seed = "s"}) ==
        "placement ketama with hash xxh3 takes no seed; the mcproxy ones with xxh3 do");
  CHECK(error_of(nodes(2), {.hash = KeyHash::kMd5}) ==
        "placement ketama does not know hash md5; it knows xxh3");
  CHECK(error_of(nodes(2), {.placement = Placement::kMcproxyRing, .hash = KeyHash::kHsieh}) ==
        "placement mcproxy-ring does not know hash hsieh; it knows xxh3, md5");
  CHECK(error_of({{.address = "cache.example.net:11211"}}, {.placement = Placement::kSpymemcached})
            .starts_with("node cache.example.net:11211 needs a name: placement spymemcached"));
  CHECK(error_of({{.address = "10.0.0.1:1", .weight = 65'537}},
                 {.placement = Placement::kXmemcached}) ==
        "weights add up to 65537, placement xmemcached can take 65536");
}

TEST_CASE("a hash of 15 bits is refused where there is a circle and taken where there is none") {
  for (const Placement ring : {Placement::kLibmemcachedWeighted, Placement::kLibmemcachedKetama,
                               Placement::kTwemproxy, Placement::kSpymemcached}) {
    const std::string error = error_of(nodes(3), {.placement = ring, .hash = KeyHash::kCrc32});
    CHECK(error.starts_with("hash crc32 keeps 15 of 32 bits, which puts nearly every key"));
    CHECK(error.find("crc32,") == std::string::npos);
  }
  CHECK(error_of(nodes(3), {.placement = Placement::kModula, .hash = KeyHash::kCrc32}).empty());
  CHECK(error_of(nodes(3), {.placement = Placement::kTwemproxy, .hash = KeyHash::kCrc32a}).empty());
}

TEST_CASE("failover visits every node once, the owner first") {
  for (const Placement placement : kAllPlacements) {
    CAPTURE(name_of(placement));
    const Ring ring = ring_of(nodes(9), {.placement = placement});
    for (int i = 0; i < 300; ++i) {
      std::array<std::uint32_t, 12> owners{};
      CHECK(ring.owners_of(key(i), owners) == 9);
      CHECK(owners[0] == ring.owner_of(key(i)));
      CHECK(std::set<std::uint32_t>(owners.begin(), owners.begin() + 9).size() == 9);
      std::array<std::uint32_t, 2> two{};
      CHECK(ring.owners_of(key(i), two) == 2);
      CHECK((two[0] == owners[0] && two[1] == owners[1]));
    }
    CHECK(ring.owners_of("x", {}) == 0);
  }
}

TEST_CASE("the next owner is the one that a ring without the first would choose") {
  for (const Placement placement :
       {Placement::kKetama, Placement::kLibmemcachedKetama, Placement::kSpymemcached,
        Placement::kDalli, Placement::kMcproxyRing, Placement::kPymemcache}) {
    CAPTURE(name_of(placement));
    const std::vector<NodeSpec> all = nodes(6);
    const Ring ring = ring_of(all, {.placement = placement});
    for (std::uint32_t gone = 0; gone < all.size(); ++gone) {
      std::vector<NodeSpec> rest = all;
      rest.erase(rest.begin() + gone);
      const Ring without = ring_of(rest, {.placement = placement});
      for (int i = 0; i < 500; ++i) {
        std::array<std::uint32_t, 2> owners{};
        ring.owners_of(key(i), owners);
        const std::uint32_t heir = owners[0] == gone ? owners[1] : owners[0];
        CHECK(without.owner_of(key(i)) == (heir > gone ? heir - 1 : heir));
      }
    }
  }
}

TEST_CASE("shares add up and are what the keys see") {
  for (const Placement placement : kAllPlacements) {
    CAPTURE(name_of(placement));
    std::vector<NodeSpec> all = nodes(5);
    all[3].weight = 4;
    const Ring ring = ring_of(all, {.placement = placement});
    const std::vector<double> shares = ring.shares();
    REQUIRE(shares.size() == 5);
    CHECK(std::accumulate(shares.begin(), shares.end(), 0.0) == doctest::Approx(1.0));
    std::vector<double> seen(5, 0.0);
    constexpr int kKeys = 40'000;
    for (int i = 0; i < kKeys; ++i) seen[ring.owner_of(key(i))] += 1.0 / kKeys;
    // Loose: some of the old hashes spread numbered keys unevenly.
    for (std::size_t n = 0; n < 5; ++n) CHECK(seen[n] == doctest::Approx(shares[n]).epsilon(0.1));
  }
}

TEST_CASE("a pool of one node gives it everything, and any bytes are a key") {
  for (const Placement placement : kAllPlacements) {
    const Ring one = ring_of(nodes(1), {.placement = placement});
    CHECK(one.owner_of("anything") == 0);
    CHECK(one.shares() == std::vector<double>{1.0});
    const Ring many = ring_of(nodes(11), {.placement = placement, .hash_tag = "{}"});
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte) every_byte += static_cast<char>(byte);
    for (std::size_t size = 0; size <= every_byte.size(); ++size) {
      const std::string_view bytes = every_byte;
      CHECK(many.owner_of(bytes.substr(0, size)) < 11);
      CHECK(many.owner_of(bytes.substr(256 - size)) < 11);
    }
    CHECK(many.owner_of(std::string(70'000, '\xff')) < 11);
    CHECK(many.owner_of("{}") < 11);
  }
}

TEST_CASE("copies and moved rings look up alike") {
  Ring first = ring_of(nodes(5), {.hash_tag = "<>"});
  const Ring copy = first;
  const Ring moved = std::move(first);
  CHECK(same_layout(copy, moved));
  CHECK(moved.hash_tag() == "<>");
}

TEST_CASE("an explicit name stands for what the mode would derive") {
  const auto with_names = [](std::vector<std::string> names) {
    std::vector<NodeSpec> specs = nodes(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) specs[i].name = names[i];
    return specs;
  };
  const auto agrees = [&](Placement placement, const std::vector<NodeSpec>& derived,
                          std::vector<std::string> names) {
    const RingOptions options{.placement = placement};
    return same_layout(ring_of(derived, options), ring_of(with_names(std::move(names)), options));
  };
  const std::vector<NodeSpec> mixed{{.address = "10.0.0.1:11211"},
                                    {.address = "[2001:db8::1]:11212"},
                                    {.address = "unix:/m.sock"}};
  CHECK(
      agrees(Placement::kKetama, mixed, {"10.0.0.1:11211", "[2001:db8::1]:11212", "unix:/m.sock"}));
  CHECK(agrees(Placement::kLibmemcachedWeighted, mixed,
               {"10.0.0.1", "2001:db8::1:11212", "/m.sock:0"}));
  CHECK(agrees(Placement::kTwemproxy, mixed, {"10.0.0.1", "2001:db8::1:11212", "/m.sock:"}));
  CHECK(agrees(Placement::kDalli, mixed, {"10.0.0.1:11211", "2001:db8::1:11212", "/m.sock"}));
  const std::vector<NodeSpec> tcp{mixed[0], mixed[1]};
  CHECK(agrees(Placement::kSpymemcached, tcp, {"10.0.0.1:11211", "2001:db8::1:11212"}));
  CHECK(agrees(Placement::kXmemcached, tcp, {"/10.0.0.1:11211", "/2001:db8::1:11212"}));
  CHECK(agrees(Placement::kEvcache, tcp,
               {"10.0.0.1/10.0.0.1:11211", "2001:db8::1/2001:db8::1:11211"}));
  CHECK(agrees(Placement::kLibmemcachedWeighted, {{.address = "embedded"}, {.address = "b:1"}},
               {"embedded", "b:1"}));
}
