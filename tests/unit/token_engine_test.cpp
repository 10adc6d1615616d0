// Rules for tokens through the engine: each step of each flow can fail, and proxies race.
#include "sealed_world.hpp"

using namespace tokenring;
using namespace tokenring::sealed_world;

namespace {

constexpr TokenRules kRevocable{.revocation = Revocation::kGeneration};
constexpr TokenRules kNotBefore{.revocation = Revocation::kNotBefore};
constexpr TokenRules kOnce{.one_time = true};
constexpr TokenRules kReplay{.replay_guard = true};
constexpr TokenRules kGuarded{.fill_guard_s = 10};
constexpr TokenRules kHerd{.herd_wait_ms = 400};
constexpr TokenRules kRevocableHerd{.revocation = Revocation::kGeneration, .herd_wait_ms = 400};

constexpr std::string_view kTwo = "set {u}n 3 0 1\r\n5\r\nset {u}m 0 0 1\r\n1\r\n";
constexpr std::string_view kTwoStored = "STORED\r\nSTORED\r\n";

constexpr Script kRevocations[] = {
    {"reads", "get {u}n {u}none {u}m\r\nmg {u}n v f\r\nmn\r\n",
     "VALUE {u}n 3 1\r\n5\r\nVALUE {u}m 0 1\r\n1\r\nEND\r\nVA 1 f3\r\n5\r\nMN\r\n"},
    {"a first write", "set {new}n 0 0 1\r\n1\r\nget {new}n\r\nmn\r\n",
     "STORED\r\nVALUE {new}n 0 1\r\n1\r\nEND\r\nMN\r\n"},
    {"a fill", "get {u}o\r\nset {u}o 0 0 1\r\n1\r\nget {u}o\r\nmn\r\n",
     "END\r\nSTORED\r\nVALUE {u}o 0 1\r\n1\r\nEND\r\nMN\r\n"},
    {"conditions",
     "add {u}n 0 0 1\r\n1\r\nadd {u}o 0 0 1\r\n1\r\nreplace {u}o 0 0 1\r\n2\r\ncas {u}o 0 0 1 "
     "99\r\n3\r\nget {u}o\r\nmn\r\n",
     "NOT_STORED\r\nSTORED\r\nSTORED\r\nEXISTS\r\nVALUE {u}o 0 1\r\n2\r\nEND\r\nMN\r\n"},
    {"changes", "incr {u}n 1\r\nappend {u}n 0 0 1\r\n0\r\nma {new}x N0 J5 v\r\nget {u}n\r\nmn\r\n",
     "6\r\nSTORED\r\nVA 1\r\n5\r\nVALUE {u}n 3 2\r\n60\r\nEND\r\nMN\r\n"},
    {"a revocation", "delete {u}\r\nget {u}n {u}m\r\nset {u}n 0 0 1\r\n2\r\nget {u}n\r\nmn\r\n",
     "DELETED\r\nEND\r\nSTORED\r\nVALUE {u}n 0 1\r\n2\r\nEND\r\nMN\r\n"},
    {"over what was revoked",
     "md {u}\r\nreplace {u}n 0 0 1\r\n1\r\nincr {u}n 1\r\nadd {u}n 0 0 1\r\n9\r\nincr {u}n "
     "1\r\nmn\r\n",
     "HD\r\nNOT_STORED\r\nNOT_FOUND\r\nSTORED\r\n10\r\nMN\r\n"},
    {"an item", "delete {u}n\r\nget {u}n {u}m\r\nmn\r\n",
     "DELETED\r\nVALUE {u}m 0 1\r\n1\r\nEND\r\nMN\r\n"},
};

constexpr Script kReadsOnce[] = {
    {"text", "get {u}n {u}n {u}m\r\nget {u}m\r\nmn\r\n",
     "VALUE {u}n 3 1\r\n5\r\nVALUE {u}m 0 1\r\n1\r\nEND\r\nEND\r\nMN\r\n"},
    {"meta", "mg {u}n k v f\r\nmg {u}n v q\r\nmg {u}m\r\nmg {u}m v\r\nmg {u}m v\r\nmn\r\n",
     "VA 1 k{u}n f3\r\n5\r\nHD\r\nVA 1\r\n1\r\nEN\r\nMN\r\n"},
};

constexpr Script kFillGuards[] = {
    {"deletes", "delete {u}n\r\ndelete {u}n\r\nset {u}n 0 0 1\r\n1\r\nget {u}m\r\nmn\r\n",
     "DELETED\r\nNOT_FOUND\r\nSTORED\r\nVALUE {u}m 0 1\r\n1\r\nEND\r\nMN\r\n"},
    {"writes", "set {u}n 0 0 1\r\n7\r\nadd {u}o 0 0 1\r\n8\r\nget {u}n {u}o\r\nmn\r\n",
     "STORED\r\nSTORED\r\nVALUE {u}n 0 1\r\n7\r\nVALUE {u}o 0 1\r\n8\r\nEND\r\nMN\r\n"},
};

constexpr Script kHerds[] = {
    {"leases", "get {u}n {u}o {u}m\r\nset {u}o 2 0 1\r\n7\r\nget {u}o\r\nmn\r\n",
     "VALUE {u}n 3 1\r\n5\r\nVALUE {u}m 0 1\r\n1\r\nEND\r\nSTORED\r\nVALUE {u}o 2 1\r\n7\r\nEND\r\n"
     "MN\r\n"},
    {"conditions",
     "get {u}o\r\nreplace {u}o 0 0 1\r\n7\r\nadd {u}o 0 0 1\r\n8\r\nget {u}o\r\nmn\r\n",
     "END\r\nNOT_STORED\r\nSTORED\r\nVALUE {u}o 0 1\r\n8\r\nEND\r\nMN\r\n"},
    {"waits", "get {u}o\r\nget {u}o\r\nmn\r\n", "END\r\nEND\r\nMN\r\n"},
};

constexpr Script kReplays[] = {
    {"adds",
     "add {u}o 0 0 1\r\n1\r\nadd {u}o 0 0 1\r\n1\r\nget {u}o\r\nset {u}o 0 0 1\r\n1\r\nmn\r\n",
     "STORED\r\nNOT_STORED\r\nVALUE {u}o 0 1\r\n1\r\nEND\r\nCLIENT_ERROR only add and get are "
     "allowed for this key\r\nMN\r\n"},
};

// Serves what came for the node once, and lets the proxy go on.
void step(World& world) {
  world.rig().node_send(0, world.serve());
  world.rig().turn();
}

}  // namespace

TEST_CASE("every step of every flow of a token may fail, and nothing is left") {
  check_every_step(kRevocations, kRevocable, kTwo, kTwoStored);
  check_every_step(kReadsOnce, kOnce, kTwo, kTwoStored);
  check_every_step(kFillGuards, kGuarded, kTwo, kTwoStored);
  check_every_step(kHerds, kHerd, kTwo, kTwoStored);
  check_every_step(kHerds, kRevocableHerd, kTwo, kTwoStored);
}

TEST_CASE("replays are refused by every step") {
  for (const Script& script : kReplays) {
    World world(kReplay);
    CHECK(world.ask(script.request) == script.expected);
    world.check_nothing_is_left();
  }
}

TEST_CASE("what was added and is lost before its time is told when it is added again") {
  World world(kReplay);
  auto counted = std::make_shared<Snapshot>(world.rig().snapshot());
  counted->tallies = make_tallies(1, *counted, nullptr);
  world.rig().adopt(counted);
  const auto forgotten = [&] { return counted->tallies->spaces.sum(0, SpaceTally::kForgotten); };
  CHECK(world.ask("add n 0 100 1\r\n5\r\nadd n 0 100 1\r\n5\r\n") == "STORED\r\nNOT_STORED\r\n");
  world.rig().advance(101'000);
  CHECK(world.ask("add n 0 100 1\r\n5\r\n") == "STORED\r\n");  // Its time was over.
  CHECK(world.ask("add o 0 0 1\r\n5\r\nadd p 0 -1 1\r\n5\r\n") == "STORED\r\nSTORED\r\n");
  CHECK(world.ask("add p 0 0 1\r\n5\r\n") == "STORED\r\n");

  // Nobody knows what became of it.
  world.rig().client_send(0, "add q 0 0 1\r\n5\r\n");
  world.rig().turn();
  world.rig().node_close(0);
  world.run();
  world.rig().advance(1'000);
  world.run();
  CHECK(world.ask("add q 0 0 1\r\n5\r\n").ends_with("STORED\r\n"));
  CHECK(forgotten() == 0);

  CHECK(world.ask("flush_all\r\n") == "OK\r\n");
  world.rig().advance(2'000);
  CHECK(world.ask("ms n 1 ME T50\r\n5\r\nadd o 0 0 1 noreply\r\n5\r\nmn\r\n") == "HD\r\nMN\r\n");
  CHECK(forgotten() == 2);
  CHECK(world.ask("add n 0 100 1\r\n5\r\n") == "NOT_STORED\r\n");
  CHECK(forgotten() == 2);
  world.check_nothing_is_left();
}

TEST_CASE("of two proxies that read once, one has it, whoever is slower") {
  for (int steps = 0; steps < 3; ++steps) {
    CAPTURE(steps);
    World world(kOnce);
    const auto other = world.another();
    REQUIRE(world.ask("set n 0 0 1\r\n5\r\n") == "STORED\r\n");
    world.rig().client_send(0, "get n\r\n");
    world.rig().turn();
    for (int i = 0; i < steps; ++i) step(world);
    const std::string theirs = other->ask("get n\r\n");
    world.run();
    const std::string ours = world.rig().client(0).inbox;
    CHECK((ours == "END\r\n") != (theirs == "END\r\n"));
    CHECK((ours == "END\r\n" ? theirs : ours) == "VALUE n 0 1\r\n5\r\nEND\r\n");
    world.check_nothing_is_left();
    other->check_nothing_is_left();
  }
}

TEST_CASE("a revocation at any step of a write is not undone by it") {
  constexpr std::string_view kWrites[] = {
      "get {u}n\r\nset {u}n 0 0 1\r\n6\r\n",
      "set {u}n 0 0 1\r\n6\r\n",
      "add {u}o 0 0 1\r\n6\r\n",
      "replace {u}n 0 0 1\r\n6\r\n",
      "incr {u}n 1\r\n",
      "append {u}n 0 0 1\r\n6\r\n",
  };
  for (const TokenRules& rules : {kRevocable, kNotBefore}) {
    for (const std::string_view write : kWrites) {
      for (int steps = 0; steps < 6; ++steps) {
        CAPTURE(write);
        CAPTURE(steps);
        World world(rules);
        const auto other = world.another();
        REQUIRE(world.ask("set {u}n 0 0 1\r\n5\r\n") == "STORED\r\n");
        world.rig().client_send(0, write);
        world.rig().turn();
        for (int i = 0; i < steps; ++i) step(world);
        const bool is_over = world.rig().node(0).inbox.empty();
        CHECK(other->ask("delete {u}\r\n") == "DELETED\r\n");
        world.run();
        CHECK(world.rig().client(0).inbox.find("ERROR") == std::string::npos);
        const std::string seen = other->ask("get {u}n {u}o\r\n");
        // What was written by a look from before the revocation is gone. A write that had not
        // looked yet may count as one from after it.
        if (is_over || rules.revocation == Revocation::kNotBefore) CHECK(seen == "END\r\n");
        if (write.starts_with("get") && steps > 0) CHECK(seen == "END\r\n");
        CHECK(seen.find("\r\n5\r\n") == std::string::npos);
        CHECK(seen.find("56") == std::string::npos);
        world.check_nothing_is_left();
        other->check_nothing_is_left();
      }
    }
  }
}

TEST_CASE("a fill that read before there was a marker does not outlive a revocation") {
  World world(kRevocable);
  const auto other = world.another();
  REQUIRE(world.ask("get {u}n\r\n") == "END\r\n");
  CHECK(other->ask("delete {u}\r\n") == "DELETED\r\n");
  CHECK(world.ask("set {u}n 0 0 1\r\n5\r\n") == "STORED\r\n");
  CHECK(world.ask("get {u}n\r\n") == "END\r\n");
  // Somebody else's first write is none, and a ticket is good for ten seconds.
  REQUIRE(world.ask("get {v}n\r\n") == "END\r\n");
  CHECK(other->ask("set {v}m 0 0 1\r\n1\r\n") == "STORED\r\n");
  CHECK(world.ask("set {v}n 0 0 1\r\n5\r\nget {v}n\r\n") ==
        "STORED\r\nVALUE {v}n 0 1\r\n5\r\nEND\r\n");
  REQUIRE(world.ask("get {u}n\r\n") == "END\r\n");
  CHECK(other->ask("delete {u}\r\n") == "DELETED\r\n");
  world.rig().advance(Tickets::kLifeMs + 1);
  CHECK(world.ask("set {u}n 0 0 1\r\n5\r\nget {u}n\r\n") ==
        "STORED\r\nVALUE {u}n 0 1\r\n5\r\nEND\r\n");
  world.check_nothing_is_left();
  other->check_nothing_is_left();
}

TEST_CASE("what a node had before a reload brought it in is not believed") {
  for (const TokenRules& rules : {kRevocable, kOnce}) {
    World world(rules);
    REQUIRE(world.ask("set {u}n 0 0 1\r\n5\r\nset {u}m 0 0 1\r\n5\r\n") == kTwoStored);
    const auto before = std::make_shared<Snapshot>(world.rig().snapshot());
    auto moved = std::make_shared<Snapshot>(*before);
    moved->pools[0].places = {"10.9.9.9:11211"};
    world.rig().nodes().resize(2);  // Its link is the second.
    world.rig().adopt(moved);
    world.rig().turn();
    auto back = std::make_shared<Snapshot>(*before);
    world.rig().adopt(back);
    world.run();
    CHECK(world.ask("get {u}n\r\n") == "END\r\n");
    world.rig().advance(2000);
    CHECK(world.ask("set {u}n 0 0 1\r\n6\r\nget {u}n\r\n") ==
          "STORED\r\nVALUE {u}n 0 1\r\n6\r\nEND\r\n");
    world.check_nothing_is_left();
  }
}
