// Quotas of negative values: what an identity may bring about by guesses, and what becomes of more.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "access_world.hpp"

using namespace tokenring;
using namespace tokenring::access_kit;

namespace {

const std::string kNo = R"({"active":false})";
const std::string kYes = R"({"active":true,"exp":4000000000})";

// Both may bring one in a second, and two at once; `asks`: somebody knows what no node has.
struct Guesses {
  explicit Guesses(bool seals, bool asks = false)
      : world({.identities = {limited("one"), limited("two")}, .seals = seals}) {
    auto snapshot = std::make_shared<Snapshot>(world.rig().snapshot());
    std::vector<Namespace> spaces(snapshot->namespaces.all().begin(),
                                  snapshot->namespaces.all().end());
    for (Namespace& space : spaces) {
      space.life = {.ttl_cap_s = 300, .token_life = TokenLife::kFollow};
      space.tokens.negative_ttl_s = 5;
      if (asks) space.tokens.asks = 0;
    }
    snapshot->namespaces = NamespaceTable(std::move(spaces));
    if (asks) snapshot->introspections = {std::make_shared<const Introspection>()};
    snapshot->tallies = make_tallies(1, *snapshot, nullptr);
    world.rig().adopt(snapshot);
    world.log_in("one", 0);
    world.log_in("two", 1);
    world.events();
  }

  static Identity limited(std::string name) {
    Identity one = identity(std::move(name));
    one.quota = {.negative_per_second = 1, .burst_ms = 1000};
    return one;
  }
  std::string set(std::string_view key, std::string_view value, unsigned client = 0) {
    return world.ask(fmt::format("set {} 0 0 {}\r\n{}\r\n", key, value.size(), value), client);
  }
  bool has(std::string_view key, unsigned client = 0) {
    return world.ask(fmt::format("get {}\r\n", key), client) != "END\r\n";
  }
  std::uint64_t refused() {
    std::uint64_t count = 0;
    for (std::size_t n = 0; n < 2; ++n)
      count += world.rig().snapshot().tallies->spaces.sum(n, SpaceTally::kOverQuota);
    return count;
  }
  // Answers the oldest question.
  void answer(const std::string& with) {
    REQUIRE_FALSE(world.rig().questions().empty());
    const Question question = world.rig().questions().front();
    world.rig().questions().erase(world.rig().questions().begin());
    world.rig().engine().fills().answer(question.id, &with, true, world.rig().now());
  }

  World world;
};

}  // namespace

TEST_CASE(
    "a negative value over its identity's quota is not stored, and what it replaced is gone") {
  for (const bool seals : {false, true}) {
    CAPTURE(seals);
    Guesses guesses(seals);
    CHECK(guesses.set("s:1", kNo) == "STORED\r\n");
    CHECK(guesses.set("s:2", kNo) == "STORED\r\n");
    CHECK(guesses.set("s:3", "before") == "STORED\r\n");
    CHECK(guesses.refused() == 0);
    CHECK(guesses.set("s:3", kNo) == "STORED\r\n");
    CHECK(guesses.world.ask("add s:4 0 0 16\r\n" + kNo + "\r\n") == "STORED\r\n");
    CHECK(guesses.refused() == 2);
    CHECK(guesses.has("s:1"));
    CHECK(guesses.has("s:2"));
    CHECK(!guesses.has("s:3"));
    CHECK(!guesses.has("s:4"));
    const auto events = guesses.world.events();
    REQUIRE(events.size() == 2);
    CHECK(events[0].kind == AccessEvent::Kind::kRateLimited);
    CHECK(events[0].identity == "one");
    CHECK(events[0].has_reference == seals);
    // What says yes, another identity, and the next second are not touched.
    CHECK(guesses.set("s:5", kYes) == "STORED\r\n");
    CHECK(guesses.set("s:6", kNo, 1) == "STORED\r\n");
    guesses.world.rig().advance(1'001);
    CHECK(guesses.set("s:7", kNo) == "STORED\r\n");
    for (const char* key : {"s:5", "s:6", "s:7"}) CHECK(guesses.has(key));
    CHECK(guesses.refused() == 2);
  }
}

TEST_CASE("who has had too many noes is not asked for, and shares what others ask") {
  Guesses guesses(true, true);
  for (const char* key : {"s:1", "s:2"}) {
    CHECK(guesses.world.ask(fmt::format("get {}\r\n", key)) == "");
    guesses.answer(kNo);
    CHECK(guesses.world.hear().starts_with("VALUE"));
  }
  CHECK(guesses.world.ask("get s:3\r\nmg s:4 v\r\n") == "END\r\nEN\r\n");
  CHECK(guesses.world.rig().questions().empty());
  CHECK(guesses.refused() == 2);
  CHECK(guesses.world.events().size() == 2);
  CHECK(guesses.has("s:1"));

  CHECK(guesses.world.ask("get s:3\r\n", 1).empty());
  CHECK(guesses.world.ask("get s:3\r\n").empty());
  CHECK(guesses.world.rig().questions().size() == 1);
  guesses.answer(kYes);
  CHECK(guesses.world.hear().starts_with("VALUE"));
  CHECK(guesses.world.hear(1).starts_with("VALUE"));

  // What is under way when the quota is used up is still answered, and paid for later.
  guesses.world.rig().advance(2'001);
  CHECK(guesses.world.ask("get s:a s:b s:c s:d s:e\r\n").empty());
  REQUIRE(guesses.world.rig().questions().size() == 5);
  for (int n = 0; n < 5; ++n) guesses.answer(kNo);
  CHECK(guesses.world.hear().starts_with("VALUE s:a"));
  guesses.world.rig().advance(3'001);
  CHECK(guesses.world.ask("get s:f\r\n") == "END\r\n");
  guesses.world.rig().advance(1'001);
  CHECK(guesses.world.ask("get s:f\r\n").empty());
  guesses.answer(kYes);
  guesses.world.hear();
}
