// The claims of our own placement, measured.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tokenring/ring.hpp"

using namespace tokenring;

namespace {

constexpr std::uint32_t kKeys = 2'000'000;

std::vector<NodeSpec> nodes(std::size_t count) {
  std::vector<NodeSpec> nodes;
  for (std::size_t i = 0; i < count; ++i) {
    nodes.push_back({.address = "10.0." + std::to_string(i / 250) + "." +
                                std::to_string(i % 250 + 1) + ":11211"});
  }
  return nodes;
}

Ring ring_of(const std::vector<NodeSpec>& nodes) {
  auto ring = Ring::make(nodes, {});
  REQUIRE_MESSAGE(ring.has_value(), ring.error());
  return *std::move(ring);
}

// The owner of each of kKeys keys, by the owner's address.
std::vector<std::string_view> owners_by_address(const std::vector<NodeSpec>& nodes) {
  const Ring ring = ring_of(nodes);
  std::vector<std::string_view> owners;
  owners.reserve(kKeys);
  std::string key;
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    key = "auth_token:" + std::to_string(i);
    owners.push_back(nodes[ring.owner_of(key)].address);
  }
  return owners;
}

double max_over_mean(const std::vector<NodeSpec>& nodes) {
  const Ring ring = ring_of(nodes);
  std::vector<double> load(nodes.size(), 0.0);
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    load[ring.owner_of("auth_token:" + std::to_string(i))] += 1;
  }
  const double mean = double{kKeys} / static_cast<double>(nodes.size());
  return *std::max_element(load.begin(), load.end()) / mean;
}

}  // namespace

TEST_CASE("ketama spreads keys evenly") {
  const double ten = max_over_mean(nodes(10));
  const double hundred = max_over_mean(nodes(100));
  MESSAGE("max/mean over 2,000,000 keys: " << ten << " at 10 nodes, " << hundred << " at 100");
  CHECK(ten <= 1.05);
  CHECK(hundred <= 1.10);
}

TEST_CASE("ketama spreads keys evenly whatever the nodes are called") {
  for (int fleet = 0; fleet < 20; ++fleet) {
    std::vector<NodeSpec> named = nodes(100);
    for (std::size_t i = 0; i < named.size(); ++i) {
      named[i].name = "cache-" + std::to_string(fleet) + "-" + std::to_string(i);
    }
    const std::vector<double> shares = ring_of(named).shares();
    CHECK(*std::max_element(shares.begin(), shares.end()) * 100 <= 1.10);
    CHECK(*std::min_element(shares.begin(), shares.end()) * 100 >= 0.90);
  }
}

TEST_CASE("a node that comes takes keys for itself only, one that goes leaves only its own") {
  for (const std::size_t count : {std::size_t{4}, std::size_t{10}, std::size_t{99}}) {
    CAPTURE(count);
    std::vector<NodeSpec> more = nodes(count + 1);
    // In the middle of the list: the order must not matter.
    std::rotate(more.begin() + 2, more.end() - 1, more.end());
    const std::string newcomer = more[2].address;
    const std::vector<NodeSpec> fewer = nodes(count);
    const auto before = owners_by_address(fewer);
    const auto after = owners_by_address(more);
    std::uint32_t moved = 0;
    std::uint32_t moved_elsewhere = 0;
    for (std::uint32_t i = 0; i < kKeys; ++i) {
      if (before[i] == after[i]) continue;
      ++moved;
      if (after[i] != newcomer) ++moved_elsewhere;
    }
    const double share = 1.0 / static_cast<double>(count + 1);
    MESSAGE("node " << count + 1 << " takes " << 100.0 * moved / kKeys << " % of the keys, ideal "
                    << 100 * share << " %");
    CHECK(moved_elsewhere == 0);
    CHECK(moved > 0.9 * share * kKeys);
    CHECK(moved < 1.1 * share * kKeys);
  }
}

TEST_CASE("a changed weight moves keys to or from its own node only") {
  std::vector<NodeSpec> equal = nodes(8);
  std::vector<NodeSpec> heavier = equal;
  heavier[5].weight = 3;
  const auto before = owners_by_address(equal);
  const auto after = owners_by_address(heavier);
  std::uint32_t moved_elsewhere = 0;
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    if (before[i] != after[i] && after[i] != equal[5].address) ++moved_elsewhere;
  }
  CHECK(moved_elsewhere == 0);
}

TEST_CASE("weights are kept, small or large") {
  const std::vector<std::vector<std::uint32_t>> cases{{1, 1, 2},
                                                      {100, 250, 650},
                                                      {1, 1000},
                                                      {4096, 2048, 1024, 3, 7},
                                                      {4'000'000'000, 1'000'000'000}};
  for (const std::vector<std::uint32_t>& weights : cases) {
    std::vector<NodeSpec> weighted = nodes(weights.size());
    double total = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      weighted[i].weight = weights[i];
      total += weights[i];
    }
    const std::vector<double> shares = ring_of(weighted).shares();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      // 262,144 slots: five standard deviations of a binomial share.
      const double ideal = weights[i] / total;
      const double bound = 5 * std::sqrt(ideal * (1 - ideal) / 262'144.0);
      CHECK(std::abs(shares[i] - ideal) < bound);
    }
  }
  // Only the proportions matter.
  std::vector<NodeSpec> small = nodes(3);
  std::vector<NodeSpec> large = nodes(3);
  for (std::size_t i = 0; i < 3; ++i) {
    small[i].weight = static_cast<std::uint32_t>(i + 1);
    large[i].weight = static_cast<std::uint32_t>(i + 1) * 1024;
  }
  CHECK(owners_by_address(small) == owners_by_address(large));
}

TEST_CASE("the order of the nodes decides nothing") {
  std::vector<NodeSpec> forward = nodes(20);
  forward[3].weight = 5;
  std::vector<NodeSpec> backward(forward.rbegin(), forward.rend());
  CHECK(owners_by_address(forward) == owners_by_address(backward));
}

TEST_CASE("a node keeps its keys under another address when it keeps its name") {
  std::vector<NodeSpec> original = nodes(5);
  std::vector<NodeSpec> moved = original;
  moved[2].name = original[2].address;
  moved[2].address = "192.0.2.7:11311";
  const Ring before = ring_of(original);
  const Ring after = ring_of(moved);
  for (int i = 0; i < 10'000; ++i) {
    const std::string key = std::to_string(i);
    CHECK(before.owner_of(key) == after.owner_of(key));
  }
}

TEST_CASE("ketama numbers more than 256 nodes") {
  const std::vector<NodeSpec> many = nodes(300);
  const Ring ring = ring_of(many);
  const std::vector<double> shares = ring.shares();
  CHECK(std::accumulate(shares.begin(), shares.end(), 0.0) == doctest::Approx(1.0));
  CHECK(*std::min_element(shares.begin(), shares.end()) > 0.8 / 300);
  std::array<std::uint32_t, 2> owners{};
  CHECK(ring.owners_of("x", owners) == 2);
  CHECK(owners[0] == ring.owner_of("x"));
}

// Other proxies and later versions must agree with this one, so the layout is a format: these
// owners never change.
TEST_CASE("ketama's layout is what it was") {
  std::vector<NodeSpec> fleet = nodes(4);
  fleet[1].weight = 2;
  fleet[3].name = "cache-d";
  const Ring ring = ring_of(fleet);
  std::string owners;
  for (int i = 0; i < 40; ++i) {
    owners += static_cast<char>('a' + ring.owner_of("key-" + std::to_string(i)));
  }
  CHECK(owners == "cadbcbbdaddbbcdccdbdbdddbdbdbdbcbcbbaabd");
}

// Not part of the suite: ring_test -ns -tc="*lookup time*"
TEST_CASE("lookup time" * doctest::skip()) {
  std::vector<std::string> keys;
  for (int i = 0; i < 4096; ++i) keys.push_back("auth_token:" + std::to_string(i * 7919));
  const std::array placements{Placement::kKetama,      Placement::kLibmemcachedWeighted,
                              Placement::kTwemproxy,   Placement::kMcproxyRing,
                              Placement::kMcproxyJump, Placement::kPymemcache};
  for (const std::size_t count : {4u, 10u, 100u}) {
    for (const Placement placement : placements) {
      const auto ring = Ring::make(nodes(count), {.placement = placement});
      REQUIRE(ring.has_value());
      double best_ns = std::numeric_limits<double>::infinity();
      std::uint64_t sum = 0;
      for (int round = 0; round < 50; ++round) {
        const auto start = std::chrono::steady_clock::now();
        for (const std::string& key : keys) sum += ring->owner_of(key);
        const std::chrono::duration<double, std::nano> spent =
            std::chrono::steady_clock::now() - start;
        best_ns = std::min(best_ns, spent.count() / static_cast<double>(keys.size()));
      }
      const auto start = std::chrono::steady_clock::now();
      REQUIRE(Ring::make(nodes(count), {.placement = placement}).has_value());
      const std::chrono::duration<double, std::milli> built =
          std::chrono::steady_clock::now() - start;
      std::printf("%3zu nodes  %-22s %7.1f ns per lookup  %8.2f ms to build  (%llu)\n", count,
                  std::string(name_of(placement)).c_str(), best_ns, built.count(),
                  static_cast<unsigned long long>(sum));
    }
  }
}
