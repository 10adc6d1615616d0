// Sealed values through the engine, before an embedded node: each step of each flow can fail, and
// whatever fails, every request is answered once, in order, and nothing is left behind.
#include "sealed_world.hpp"

using namespace tokenring;
using namespace tokenring::sealed_world;

namespace {

constexpr Script kScripts[] = {
    {"set", "set n 3 100 1\r\n7\r\nmn\r\n", "STORED\r\nMN\r\n"},
    {"get", "get n\r\nmn\r\n", "VALUE n 3 1\r\n5\r\nEND\r\nMN\r\n"},
    {"incr", "incr n 2\r\nmn\r\n", "7\r\nMN\r\n"},
    {"decr quiet", "decr n 2 noreply\r\nmn\r\n", "MN\r\n"},
    {"append", "append n 0 0 1\r\n1\r\nget n\r\nmn\r\n",
     "STORED\r\nVALUE n 3 2\r\n51\r\nEND\r\nMN\r\n"},
    {"meta prepend", "ms n 2 MP k Oo\r\n12\r\nmn\r\n", "HD kn Oo\r\nMN\r\n"},
    {"ma makes", "ma new N0 J9 v\r\nma new v T5 t\r\nmn\r\n",
     "VA 1\r\n9\r\nVA 2 t5\r\n10\r\nMN\r\n"},
    {"ma misses", "ma none v\r\nappend none 0 0 1\r\nx\r\nmn\r\n", "NF\r\nNOT_STORED\r\nMN\r\n"},
    {"several", "incr n 1\r\nincr n 1\r\nget n m\r\ndecr m 1\r\nmn\r\n",
     "6\r\n7\r\nVALUE n 3 1\r\n7\r\nVALUE m 0 1\r\n1\r\nEND\r\n0\r\nMN\r\n"},
};

}  // namespace

TEST_CASE("every step of every flow may fail, and nothing is left") {
  check_every_step(kScripts, {}, "set n 3 0 1\r\n5\r\nset m 0 0 1\r\n1\r\n",
                   "STORED\r\nSTORED\r\n");
}

TEST_CASE("changes of several clients meet, and none is lost") {
  World world;
  REQUIRE(world.ask("set n 0 0 1\r\n0\r\nset s 0 0 0\r\n\r\n") == "STORED\r\nSTORED\r\n");
  for (int round = 0; round < 20; ++round)
    for (unsigned client = 0; client < 5; ++client)
      world.rig().client_send(client, "incr n 1\r\nappend s 0 0 1\r\nx\r\nget other\r\n");
  world.run();
  CHECK(world.ask("get n s\r\n", 9) ==
        fmt::format("VALUE n 0 3\r\n100\r\nVALUE s 0 100\r\n{}\r\nEND\r\n", std::string(100, 'x')));
  for (unsigned client = 0; client < 5; ++client)
    CHECK(world.rig().client(client).inbox.find("ERROR") == std::string::npos);
  world.check_nothing_is_left();
}

TEST_CASE("a change begins again when somebody else was faster") {
  struct Race {
    std::string_view command, meanwhile, expected, value;
  };
  // What another proxy does between this one's read and its write.
  constexpr Race kRaces[] = {
      {"incr n 1\r\n", "set n 0 0 2\r\n41\r\n", "42\r\n", "42"},
      {"incr n 1\r\n", "delete n\r\n", "NOT_FOUND\r\n", ""},
      {"append n 0 0 1\r\nx\r\n", "delete n\r\n", "NOT_STORED\r\n", ""},
      {"append n 0 0 1\r\nx\r\n", "append n 0 0 1\r\ny\r\n", "STORED\r\n", "5yx"},
      {"ma new N0 J3 v\r\n", "set new 0 0 1\r\n8\r\n", "VA 1\r\n9\r\n", "5"},
      {"ma n N0 J3 v\r\n", "delete n\r\n", "VA 1\r\n3\r\n", "3"},
  };
  for (const Race& race : kRaces) {
    CAPTURE(race.command);
    CAPTURE(race.meanwhile);
    World world;
    REQUIRE(world.ask("set n 0 0 1\r\n5\r\n") == "STORED\r\n");
    world.rig().client_send(0, race.command);
    world.rig().turn();
    world.rig().node_send(0, world.serve());  // It has read, and is about to write.
    world.rig().turn();
    REQUIRE(world.rig().node(0).inbox.starts_with("ms "));
    const auto other = world.another();
    CHECK(other->ask(race.meanwhile).find("ERROR") == std::string::npos);
    world.run();
    CHECK(world.rig().client(0).inbox == race.expected);
    CHECK(other->ask("mg n v q\r\nmn\r\n") ==
          (race.value.empty()
               ? "MN\r\n"
               : fmt::format("VA {}\r\n{}\r\nMN\r\n", race.value.size(), race.value)));
    world.check_nothing_is_left();
    other->check_nothing_is_left();
  }
}

TEST_CASE("after many lost races a change is given up, and nothing is done") {
  World world;
  REQUIRE(world.ask("set n 0 0 1\r\n5\r\n") == "STORED\r\n");
  const auto other = world.another();
  world.rig().client_send(0, "incr n 1\r\n");
  world.rig().turn();
  int writes = 0;
  while (!world.rig().node(0).inbox.empty() && writes < 1000) {
    if (world.rig().node(0).inbox.starts_with("ms ")) {
      CHECK(other->ask("set n 0 0 1\r\n7\r\n") == "STORED\r\n");
      ++writes;
    }
    world.rig().node_send(0, world.serve());
    world.rig().turn();
  }
  CHECK(writes == Change::kAttemptsMax + 1);
  CHECK(world.rig().client(0).inbox == "SERVER_ERROR too many concurrent changes of this item\r\n");
  CHECK(world.ask("get n\r\n", 1) == "VALUE n 0 1\r\n7\r\nEND\r\n");
  world.check_nothing_is_left();
  other->check_nothing_is_left();
}

TEST_CASE("what a client sends behind its change waits for it, and others do not") {
  World world;
  REQUIRE(world.ask("set n 0 0 1\r\n5\r\nset m 0 0 1\r\n1\r\n") == "STORED\r\nSTORED\r\n");
  world.rig().client_send(
      0, "get m\r\nincr n 1\r\nget n\r\nset n 0 0 1\r\n2\r\nappend n 0 0 1\r\n0\r\n");
  world.rig().client_send(1, "get m\r\n");
  world.rig().turn();
  world.rig().node_send(0, world.serve());
  world.rig().turn();
  CHECK(world.rig().client(0).inbox == "VALUE m 0 1\r\n1\r\nEND\r\n");
  CHECK(world.rig().client(1).inbox == "VALUE m 0 1\r\n1\r\nEND\r\n");
  world.run();
  CHECK(world.rig().client(0).inbox ==
        "VALUE m 0 1\r\n1\r\nEND\r\n6\r\nVALUE n 0 1\r\n6\r\nEND\r\nSTORED\r\nSTORED\r\n");
  world.rig().client(1).inbox.clear();
  CHECK(world.ask("get n\r\n", 1) == "VALUE n 0 2\r\n20\r\nEND\r\n");
  world.check_nothing_is_left();
}

TEST_CASE("a node that leaves the configuration ends the change that it has begun") {
  World world;
  REQUIRE(world.ask("set n 0 0 1\r\n5\r\n") == "STORED\r\n");
  const auto other = world.another();
  world.rig().client_send(0, "incr n 1\r\n");
  world.rig().turn();
  auto moved = std::make_shared<Snapshot>(world.rig().snapshot());
  moved->pools[0].places = {"10.9.9.9:11211"};
  world.rig().nodes().resize(2);  // Its link is the second.
  world.rig().adopt(moved);
  world.run();
  CHECK(world.rig().client(0).inbox == "6\r\n");
  CHECK(other->ask("get n\r\n") == "VALUE n 0 1\r\n6\r\nEND\r\n");
  world.check_nothing_is_left();
}
