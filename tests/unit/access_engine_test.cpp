// Identities through the engine, before an embedded node: who may do what, and whose keys are
// whose.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "access_world.hpp"

using namespace tokenring;
using namespace tokenring::access_kit;

TEST_CASE("nothing but a login is answered before one") {
  World world({.identities = {identity("one")}});
  for (const char* line : {"get a\r\n", "version\r\n", "quit\r\n", "mn\r\n", "flush_all\r\n",
                           "mg a v q\r\n", "stats\r\n"}) {
    CAPTURE(line);
    CHECK(world.ask(line) == "CLIENT_ERROR unauthenticated\r\n");
  }
  CHECK(world.ask(World::login("one", "no")) == kFailure);
  CHECK(world.ask(World::login("nobody", "pw")) == kFailure);
  CHECK(world.seen_by_node.empty());
  world.log_in("one");
  CHECK(world.ask("set a 0 0 1\r\nx\r\nget a\r\n") == "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
  CHECK(world.rig().counted(Counter::kAuthCmds) == 3);
  CHECK(world.rig().counted(Counter::kAuthErrors) == 2);
}

TEST_CASE("a login and what follows it may come in one piece") {
  World world({.identities = {identity("one")}});
  CHECK(world.ask(World::login("one", "pw") + "set b 0 0 1\r\nx\r\nget b\r\n") ==
        "STORED\r\nSTORED\r\nVALUE b 0 1\r\nx\r\nEND\r\n");
  CHECK(world.ask("", 1).empty());
  CHECK(world.ask("get b\r\n" + World::login("one", "pw") + "get b\r\n", 1) ==
        "CLIENT_ERROR unauthenticated\r\nSTORED\r\nVALUE b 0 1\r\nx\r\nEND\r\n");
}

TEST_CASE("a user of no identity cannot log in") {
  World world({.identities = {identity("one")}});
  CHECK(world.ask(World::login("reader", "pw")) == kFailure);
  CHECK(world.ask("version\r\n") == "CLIENT_ERROR unauthenticated\r\n");
}

TEST_CASE("each right opens its commands, in both dialects") {
  struct Row {
    const char* request;
    Rights needed;
    bool reads = false;  // A miss where it is hidden.
    const char* miss = "";
  };
  const Rights both = Rights::kRead | Rights::kWrite;
  const Row rows[] = {
      {"get s:k\r\n", Rights::kRead, true, "END\r\n"},
      {"gets s:k s:l\r\n", Rights::kRead, true, "END\r\n"},
      {"gat 9 s:k\r\n", both, true, "END\r\n"},
      {"touch s:k 9\r\n", Rights::kWrite, true, "NOT_FOUND\r\n"},
      {"set s:k 0 0 1\r\n1\r\n", Rights::kWrite},
      {"add s:k 0 0 1\r\n1\r\n", Rights::kWrite},
      {"append s:k 0 0 1\r\n1\r\n", Rights::kWrite},
      {"cas s:k 0 0 1 1\r\n1\r\n", Rights::kWrite},
      {"delete s:k\r\n", Rights::kDelete},
      {"incr s:k 1\r\n", both},
      {"mg s:k v\r\n", Rights::kRead, true, "EN\r\n"},
      {"mg s:k T9\r\n", both, true, "EN\r\n"},
      {"mg s:k N9 v\r\n", both, true, "EN\r\n"},
      {"me s:k\r\n", Rights::kRead, true, "EN\r\n"},
      {"ms s:k 1\r\n1\r\n", Rights::kWrite},
      {"md s:k\r\n", Rights::kDelete},
      {"ma s:k\r\n", Rights::kWrite},
      {"ma s:k v\r\n", both},
  };
  for (const bool hides : {false, true}) {
    for (unsigned bits = 0; bits < 8; ++bits) {
      Identity reader = identity("reader");
      reader.hides = hides;
      const Rights given{static_cast<std::uint8_t>(bits)};
      World world({.identities = {reader}, .rights = [&](const Identity&, std::string_view prefix) {
                     return prefix == "s:" ? given : Rights();
                   }});
      world.log_in("reader");
      for (const Row& row : rows) {
        CAPTURE(row.request);
        CAPTURE(bits);
        CAPTURE(hides);
        world.seen_by_node.clear();
        const std::string reply = world.ask(row.request);
        if (given.has(row.needed)) {
          CHECK(reply != kDenied);
          CHECK(!world.seen_by_node.empty());
        } else {
          CHECK(reply == (hides && row.reads ? row.miss : kDenied));
          CHECK(world.seen_by_node.empty());
        }
        CHECK(world.ask("mn\r\n") == "MN\r\n");  // In step.
      }
    }
  }
}

TEST_CASE("a get of several keys is refused as a whole, or misses what is hidden") {
  Setup setup{.identities = {identity("one")}};
  setup.rights = [](const Identity&, std::string_view prefix) {
    return prefix == "s:" ? Rights::kRead : Rights::kRead | Rights::kWrite;
  };
  World world(setup);
  world.log_in("one");
  CHECK(world.ask("set a 0 0 1\r\nx\r\nset s:a 0 0 1\r\nx\r\n") ==
        "STORED\r\n" + std::string(kDenied));
  CHECK(world.ask("set s:a 0 0 1 noreply\r\nx\r\nmn\r\n") == "MN\r\n");
  CHECK(world.ask("ms s:a 1 q\r\nx\r\nmn\r\n") == std::string(kDenied) + "MN\r\n");
  CHECK(world.ask("gat 5 a s:a\r\n") == kDenied);
  CHECK(world.ask("get a s:a\r\n") == "VALUE a 0 1\r\nx\r\nEND\r\n");
  std::string line = "gat 5 a";  // Longer than what is served at once.
  for (int i = 0; i < 600; ++i) line += fmt::format(" a{}", i);
  CHECK(world.ask(line + "\r\nmn\r\n") == "VALUE a 0 1\r\nx\r\nEND\r\nMN\r\n");
  CHECK(world.ask(line + " s:a\r\nmn\r\n") == std::string(kDenied) + "MN\r\n");
  setup.identities[0].hides = true;
  world.adopt(setup);
  CHECK(world.ask("gat 5 s:a a\r\nmn\r\n") == "VALUE a 0 1\r\nx\r\nEND\r\nMN\r\n");
}

TEST_CASE("commands without a key need their right everywhere") {
  Setup setup{.identities = {identity("one")}};
  Rights somewhere;
  Rights everywhere;
  setup.rights = [&](const Identity&, std::string_view prefix) {
    return prefix == "*" ? everywhere : prefix == "s:" ? somewhere : Rights();
  };
  somewhere = Rights::kStats | Rights::kFlush;
  World world(setup);
  world.log_in("one");
  CHECK(world.ask("flush_all\r\n") == kDenied);
  CHECK(world.ask("flush_all noreply\r\nmn\r\n") == "MN\r\n");
  CHECK(world.ask("stats\r\n") == kDenied);
  CHECK(world.ask("stats tokenring\r\n") == kDenied);
  CHECK(world.ask("stats namespaces\r\n") == "END\r\n");
  CHECK(world.seen_by_node.empty());
  everywhere = Rights::kStats;
  world.adopt(setup);
  CHECK(world.ask("stats tokenring\r\n").ends_with("END\r\n"));
  CHECK(world.ask("stats reset\r\n") == kDenied);
  CHECK(world.ask("flush_all\r\n") == kDenied);
  everywhere = Rights::kStats | Rights::kFlush;
  world.adopt(setup);
  CHECK(world.ask("stats reset\r\n") == "RESET\r\n");
  CHECK(world.ask("flush_all\r\n") == "OK\r\n");
  somewhere = everywhere = Rights();
  world.adopt(setup);
  CHECK(world.ask("stats namespaces\r\n") == kDenied);
}

TEST_CASE("keys of two owners never meet, and each sees its own names") {
  for (const bool seals : {false, true}) {
    CAPTURE(seals);
    Setup setup{.identities = {identity("one", 1), identity("two", 2), identity("reader")}};
    setup.seals = seals;
    setup.coalesces = true;
    World world(setup);
    world.log_in("one", 0);
    world.log_in("two", 1);
    world.log_in("reader", 2);
    CHECK(world.ask("get k\r\nset k 7 0 1\r\n1\r\nget k\r\n", 0) ==
          "END\r\nSTORED\r\nVALUE k 7 1\r\n1\r\nEND\r\n");
    CHECK(world.ask("get k\r\nset k 7 0 1\r\n2\r\nset k2 0 0 1\r\nx\r\n", 1) ==
          "END\r\nSTORED\r\nSTORED\r\n");
    CHECK(world.ask("get k\r\n", 2) == "END\r\n");
    CHECK(world.ask("get k\r\n", 0) == "VALUE k 7 1\r\n1\r\nEND\r\n");
    CHECK(world.ask("get k k2\r\n", 1) == "VALUE k 7 1\r\n2\r\nVALUE k2 0 1\r\nx\r\nEND\r\n");
    CHECK(world.seen_by_node.find("one/k ") != std::string::npos);
    CHECK(world.seen_by_node.find("two/k ") != std::string::npos);

    // At once, though gets of one key may share a request.
    world.rig().client_send(0, "mg k v\r\n");
    world.rig().client_send(1, "mg k v\r\n");
    CHECK(world.hear(0) == "VA 1\r\n1\r\n");
    CHECK(world.hear(1) == "VA 1\r\n2\r\n");

    CHECK(world.ask("mg k v k f Ox\r\n", 0) == "VA 1 kk f7 Ox\r\n1\r\n");
    CHECK(world.ask("gets k\r\n", 0).starts_with("VALUE k 7 1 "));
    CHECK(world.ask("gat 100 k\r\n", 0) == "VALUE k 7 1\r\n1\r\nEND\r\n");
    CHECK(world.ask("touch k 100\r\n", 0) == "TOUCHED\r\n");
    CHECK(world.ask("me k\r\n", 0).starts_with("ME k exp="));
    CHECK(world.ask("incr k 5\r\n", 0) == "6\r\n");
    CHECK(world.ask("append k 0 0 1\r\n0\r\n", 0) == "STORED\r\n");
    CHECK(world.ask("ma k v k\r\n", 0) == "VA 2 kk\r\n61\r\n");
    CHECK(world.ask("delete k\r\n", 0) == "DELETED\r\n");
    CHECK(world.ask("get k\r\n", 0) == "END\r\n");
    CHECK(world.ask("get k\r\n", 1) == "VALUE k 7 1\r\n2\r\nEND\r\n");

    // Bytes as base64: "aw==" is k.
    CHECK(world.ask("mg aw== b k v\r\n", 1) == "VA 1 kaw== b\r\n2\r\n");
    CHECK(world.ask("ms IG8= 1 b\r\n3\r\n", 1) == "HD\r\n");
    CHECK(world.ask("mg IG8= b v\r\n", 1) == "VA 1\r\n3\r\n");
    CHECK(world.ask("me IG8= b\r\n", 1).starts_with("ME IG8= exp="));
    CHECK(world.ask("ms YmI= 1 b\r\n4\r\n", 1) == "HD\r\n");
    CHECK(world.ask("me bb\r\n", 1).starts_with("ME bb exp="));
    CHECK(world.ask("ma IG8= b v D4\r\n", 1) == "VA 1\r\n7\r\n");
    CHECK(world.ask("mg IG8= b v\r\n", 1) == "VA 1\r\n7\r\n");

    // Whoever writes an owner's name in full gets nothing.
    CHECK(world.ask("get two/k\r\n", 2) == kDenied);
    CHECK(world.ask("set two/k 0 0 1\r\nx\r\n", 2) == kDenied);
    CHECK(world.ask("mg dHdvL2s= b v\r\n", 2) == kDenied);
    CHECK(world.ask("get two/k\r\n", 0) == "END\r\n");
    CHECK(world.ask("set " + std::string(247, 'x') + " 0 0 1\r\nx\r\n", 0) ==
          "CLIENT_ERROR bad command line format\r\n");
    CHECK(world.ask("get " + std::string(246, 'x') + "\r\n", 0) == "END\r\n");
    CHECK(world.ask("flush_all\r\n", 0) == kDenied);
    world.rig().leave();
    CHECK(world.rig().engine().slot_count() == 0);
    CHECK(world.rig().engine().sealing_count() == 0);
  }
}

TEST_CASE("a value of one owner does not open for another") {
  Setup setup{.identities = {identity("one", 1), identity("two", 2)}};
  setup.seals = true;
  World world(setup);
  world.log_in("one", 0);
  world.log_in("two", 1);
  REQUIRE(world.ask("set k 0 0 6\r\nsecret\r\n", 0) == "STORED\r\n");
  const std::size_t at = world.seen_by_node.find("\r\n", world.seen_by_node.find("one/k")) + 2;
  const std::string sealed = world.seen_by_node.substr(at, 56 + 6);
  CHECK(sealed.find("secret") == std::string::npos);
  // The node gives it in answer to the other.
  world.rig().client_send(1, "get k\r\n");
  world.rig().turn();
  REQUIRE(std::exchange(world.rig().node(0).inbox, {}) == "get two/k\r\nmn\r\n");
  world.rig().node_send(
      0, fmt::format("VALUE two/k 0 {}\r\n{}\r\nEND\r\nMN\r\n", sealed.size(), sealed));
  CHECK(world.hear(1) == "END\r\n");
}
