// A new configuration while requests are in flight, and the way out of clients.
#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <vector>

#include "../wire/rig.hpp"
#include "../wire/talk.hpp"

using namespace tokenring;
using namespace tokenring::test;

namespace {

void check_nothing_left(Rig& rig) {
  rig.leave();
  CHECK(rig.engine().in_flight() == 0);
  CHECK(rig.engine().slot_count() == 0);
  CHECK(rig.engine().pool().bytes_lent() == 0);
}

}  // namespace

TEST_CASE("nodes that stay keep their connections, and what is in flight on them") {
  Rig rig({.nodes = 2});
  const std::string key = rig.key_on("a", 0);
  ask(rig, 1, "get " + key + "\r\n");
  REQUIRE(heard(rig, 0) == "get " + key + "\r\nmn\r\n");
  rig.adopt({.nodes = 2, .pool = {.on_failure = OnFailure::kError}});
  CHECK(rig.node(0).connections.size() == 1);
  CHECK(rig.node(1).connections.size() == 1);
  say(rig, 0, "VALUE " + key + " 0 1\r\nx\r\nEND\r\nMN\r\n");
  CHECK(told(rig, 1) == "VALUE " + key + " 0 1\r\nx\r\nEND\r\n");
  // The new rules hold from now on.
  rig.node(0).refuses = true;
  rig.node_close(0);
  rig.advance(100);
  ask(rig, 1, "get " + key + "\r\n");
  CHECK(told(rig, 1) == "SERVER_ERROR node is down\r\n");
  check_nothing_left(rig);
}

TEST_CASE("a node that goes answers what it was asked, is asked no more, and is left") {
  Rig rig({.nodes = 2});
  const std::string going = rig.key_on("a", 0);
  ask(rig, 1, "get " + going + "\r\nmg " + going + " v\r\n");
  const std::string sent = heard(rig, 0);
  REQUIRE(sent.starts_with("get " + going + "\r\nmg " + going + " v O"));
  const std::string opaque = sent.substr(sent.rfind(" O"), 6);
  rig.adopt({.nodes = 1, .first_node = 1});
  CHECK(rig.node(0).connected);
  // The key is the other node's now; the reply still waits for its turn.
  ask(rig, 1, "get " + going + "\r\n");
  CHECK(heard(rig, 0).empty());
  CHECK(heard(rig, 1) == "get " + going + "\r\nmn\r\n");
  say(rig, 1, "END\r\nMN\r\n");
  CHECK(told(rig, 1).empty());
  say(rig, 0, "VALUE " + going + " 0 3\r\nold\r\nEND\r\nVA 3" + opaque + "\r\nold\r\nMN\r\n");
  CHECK(told(rig, 1) == "VALUE " + going + " 0 3\r\nold\r\nEND\r\nVA 3\r\nold\r\nEND\r\n");
  CHECK(!rig.node(0).connected);
  CHECK(rig.node(0).connections.size() == 1);
  check_nothing_left(rig);
}

TEST_CASE("a node that goes and is lost is not connected again") {
  Rig rig({.nodes = 2, .pool = {.on_failure = OnFailure::kError}});
  const std::string key = rig.key_on("a", 0);
  ask(rig, 1, "get " + key + "\r\n");
  rig.adopt({.nodes = 1, .first_node = 1, .pool = {.on_failure = OnFailure::kError}});
  rig.node_close(0);
  rig.turn();
  CHECK(told(rig, 1) == "SERVER_ERROR connection to node lost\r\n");
  rig.advance(3000);
  CHECK(rig.node(0).connections.size() == 1);
  check_nothing_left(rig);
}

TEST_CASE("a node that comes is connected at once, and requests wait for it") {
  Rig rig({.nodes = 1});
  rig.adopt({.nodes = 2});
  REQUIRE(rig.nodes().size() == 2);
  CHECK(rig.node(0).connections.size() == 1);
  CHECK(rig.node(1).connections.size() == 1);
  const std::string key = rig.key_on("b", 1);
  ask(rig, 1, "delete " + key + "\r\n");
  CHECK(heard(rig, 1).starts_with("md " + key + " O"));
  check_nothing_left(rig);
}

TEST_CASE("a node that was left is connected anew when it comes back") {
  Rig rig({.nodes = 2});
  rig.adopt({.nodes = 1, .first_node = 1});
  CHECK(!rig.node(0).connected);
  rig.adopt({.nodes = 2});
  CHECK(rig.node(0).connected);
  CHECK(rig.node(0).connections.size() == 2);
  CHECK(rig.node(1).connections.size() == 1);
  const std::string key = rig.key_on("a", 0);
  ask(rig, 1, "mg " + key + " v\r\n");
  CHECK(heard(rig, 0).starts_with("mg " + key + " v O"));
  check_nothing_left(rig);
}

TEST_CASE("links come and go with links_per_node") {
  Rig rig({.nodes = 1});
  rig.adopt({.nodes = 1, .pool = {.links_per_node = 3}});
  REQUIRE(rig.nodes().size() == 3);
  for (unsigned link = 0; link < 3; ++link) CHECK(rig.node(link).connections.size() == 1);
  rig.adopt({.nodes = 1});
  CHECK(rig.node(0).connected);
  CHECK(!rig.node(1).connected);
  CHECK(!rig.node(2).connected);
  check_nothing_left(rig);
}

TEST_CASE("gets of before a change are not shared after it") {
  Rig rig({.nodes = 1, .coalesce = true});
  ask(rig, 1, "get a\r\n");
  REQUIRE(heard(rig, 0) == "get a\r\nmn\r\n");
  // While nothing is shared a write does not part gets; so a change has to.
  rig.adopt({.nodes = 1});
  ask(rig, 2, "touch a -1\r\n");
  REQUIRE(heard(rig, 0) == "touch a -1\r\nmn\r\n");
  rig.adopt({.nodes = 1, .coalesce = true});
  ask(rig, 2, "get a\r\n");
  CHECK(heard(rig, 0) == "get a\r\nmn\r\n");
  check_nothing_left(rig);
}

TEST_CASE("a limit that is lowered holds for a value that is on its way in") {
  Rig rig({.nodes = 1});
  ask(rig, 1, "set a 0 0 3000\r\n" + std::string(2000, 'x'));
  rig.adopt({.nodes = 1, .limits = {.value_bytes_max = 2048}});
  ask(rig, 1, std::string(1000, 'x') + "\r\nmn\r\n");
  const std::string sent = heard(rig, 0);
  REQUIRE(sent.starts_with("md a O"));
  say(rig, 0, "NF" + sent.substr(4, 6) + "\r\n");
  CHECK(told(rig, 1) == "SERVER_ERROR object too large for cache\r\nMN\r\n");
  check_nothing_left(rig);
}

TEST_CASE("draining lets those go who have nothing open, once they are quiet") {
  RigOptions options{.nodes = 1};
  options.pool.request_timeout_ms = 10 * Engine::kDrainQuietMs;
  Rig rig(options);
  ask(rig, 1, "version\r\n");
  ask(rig, 2, "mg a v\r\n");
  ask(rig, 3, "set a 0 0 5\r\nhe");
  const auto drain = [&](bool at_once) {
    rig.engine().drain_clients(at_once, rig.now());
    rig.turn();
  };
  drain(false);
  CHECK(!rig.client(1).gone);
  rig.advance(Engine::kDrainQuietMs);
  drain(false);
  CHECK(rig.client(1).gone);
  CHECK(!rig.client(2).gone);
  CHECK(!rig.client(3).gone);
  const std::string sent = heard(rig, 0);
  say(rig, 0, "EN" + sent.substr(6, 6) + "\r\n");
  drain(true);
  CHECK(told(rig, 2) == "EN\r\n");
  CHECK(rig.client(2).gone);
  ask(rig, 3, "llo\r\n");
  CHECK(heard(rig, 0).starts_with("ms a 5 "));
  drain(true);
  CHECK(!rig.client(3).gone);
  check_nothing_left(rig);
}

TEST_CASE("clients that are ended get what they asked for, and are asked nothing more") {
  Rig rig({.nodes = 1});
  rig.client(2).reads = false;
  ask(rig, 1, "mg a v\r\nset b 0 0 5\r\nhe");
  ask(rig, 2, "version\r\n");
  ask(rig, 3, "set b 0 0 5\r\nhe");
  rig.engine().end_clients();
  rig.turn();
  CHECK(!rig.client(1).gone);
  CHECK(!rig.client(2).gone);  // Until it takes its answer.
  CHECK(rig.client(3).gone);
  const std::string sent = heard(rig, 0);
  rig.client_send(1, "llo\r\n");
  say(rig, 0, "VA 1" + sent.substr(6, 6) + "\r\nx\r\n");
  CHECK(told(rig, 1) == "VA 1\r\nx\r\n");
  CHECK(rig.client(1).gone);
  CHECK(heard(rig, 0).empty());
  check_nothing_left(rig);
}

TEST_CASE("a node that missed writes, left and comes back is flushed") {
  const PoolOptions pool{.on_node_down = OnNodeDown::kFailover, .on_rejoin = OnRejoin::kFlush};
  SUBCASE("they went past it while it was down") {
    Rig rig({.nodes = 2, .pool = pool});
    const std::string key = rig.key_on("a", 0);
    rig.node(0).refuses = true;
    rig.node_close(0);
    rig.advance(20);
    ask(rig, 1, "delete " + key + "\r\n");
    rig.adopt({.nodes = 1, .first_node = 1, .pool = pool});
    rig.node(0).refuses = false;
    rig.adopt({.nodes = 2, .pool = pool});
    CHECK(heard(rig, 0) == "flush_all\r\n");
    say(rig, 0, "OK\r\n");
    // Once is enough.
    rig.adopt({.nodes = 1, .first_node = 1, .pool = pool});
    rig.adopt({.nodes = 2, .pool = pool});
    CHECK(heard(rig, 0).empty());
    CHECK(rig.counted(Counter::kRejoinFlushes) == 1);
  }
  SUBCASE("it was lost on its way out, before it acknowledged them") {
    Rig rig({.nodes = 2, .pool = pool});
    ask(rig, 1, "delete " + rig.key_on("a", 0) + "\r\n");
    static_cast<void>(heard(rig, 0));
    rig.adopt({.nodes = 1, .first_node = 1, .pool = pool});
    rig.node_close(0);
    rig.turn();
    rig.adopt({.nodes = 2, .pool = pool});
    CHECK(heard(rig, 0) == "flush_all\r\n");
  }
  SUBCASE("it had missed nothing") {
    Rig rig({.nodes = 2, .pool = pool});
    rig.adopt({.nodes = 1, .first_node = 1, .pool = pool});
    rig.adopt({.nodes = 2, .pool = pool});
    CHECK(heard(rig, 0).empty());
  }
}

TEST_CASE("what is counted of namespaces and nodes goes on with another configuration") {
  std::shared_ptr<Tallies> tallies;
  const auto with = [&](std::vector<std::string> prefixes, unsigned nodes) {
    return RigOptions{.nodes = nodes, .adjust = [&tallies, prefixes](Snapshot& snapshot) {
                        std::vector<Namespace> spaces;
                        for (const std::string& prefix : prefixes)
                          spaces.push_back({.prefix = prefix, .pool = 0, .life = {}});
                        snapshot.namespaces = NamespaceTable(std::move(spaces));
                        snapshot.tallies = make_tallies(1, snapshot, tallies.get());
                        tallies = snapshot.tallies;
                      }};
  };
  Rig rig(with({"", "b:"}, 2));
  const auto lines = [&](std::string_view group, std::string_view what) {
    ask(rig, 1, "stats " + std::string(group) + "\r\n");
    const std::string all = told(rig, 1);
    std::string found;
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t end = all.find('\n', at) + 1;
      const std::string line = all.substr(at, end - at);
      if (line.find(what) != std::string::npos) found += line;
      at = end;
    }
    return found;
  };
  ask(rig, 2, "delete b:1\r\ndelete b:2\r\ndelete c:1\r\n");
  rig.advance(2 * Engine::kPublishMs);
  const std::string requests = lines("nodes", ":requests ");
  rig.adopt(with({"b:", "", "a:"}, 2));
  CHECK(lines("namespaces", ":cmd_delete ") ==
        "STAT a::cmd_delete 0\r\nSTAT b::cmd_delete 2\r\nSTAT -:cmd_delete 1\r\n");
  CHECK(lines("nodes", ":requests ") == requests);
  ask(rig, 2, "delete b:3\r\n");
  rig.adopt(with({"", "b:"}, 3));
  CHECK(lines("namespaces", ":cmd_delete ") == "STAT b::cmd_delete 3\r\nSTAT -:cmd_delete 1\r\n");
  // What left and comes back begins anew.
  rig.adopt(with({""}, 3));
  rig.adopt(with({"", "b:"}, 3));
  CHECK(lines("namespaces", ":cmd_delete ") == "STAT b::cmd_delete 0\r\nSTAT -:cmd_delete 1\r\n");
}
