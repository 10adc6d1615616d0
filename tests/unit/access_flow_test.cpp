// Identities through the engine: logins that take long, rates, and what is told of it all.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>

#include "access_world.hpp"

using namespace tokenring;
using namespace tokenring::access_kit;
using tokenring::seal_kit::SeededEntropy;

TEST_CASE("a slow login is answered in its turn, and remembered") {
  SeededEntropy entropy(3);
  Setup setup{.users = "one:" + text_of(*hash_password("pw", 1'000, entropy)) + "\ntwo:pw\n",
              .identities = {identity("one"), identity("two")}};
  World world(setup);
  CHECK(world.ask("mn\r\n" + World::login("one", "pw") + "get a\r\nmn\r\n") ==
        "CLIENT_ERROR unauthenticated\r\n");
  CHECK(world.ask("mn\r\n").empty());
  world.log_in("two", 1);  // Others do not wait.
  REQUIRE(world.rig().logins().size() == 1);
  world.check_logins();
  CHECK(world.hear() == "STORED\r\nEND\r\nMN\r\nMN\r\n");
  world.log_in("one", 2);
  CHECK(world.rig().logins().empty());
  CHECK(world.ask(World::login("one", "no"), 3).empty());
  CHECK(world.ask(World::login("nobody", "pw"), 4).empty());
  CHECK(world.ask(World::login("one", "pw2"), 5).empty());
  world.rig().client_close(5);
  world.check_logins();
  CHECK(world.hear(3) == kFailure);
  CHECK(world.hear(4) == kFailure);

  // The file changes while a password waits: what it says then counts.
  CHECK(world.ask(World::login("one", "new"), 6).empty());
  setup.users = "one:" + text_of(*hash_password("new", 1'000, entropy)) + "\n";
  world.adopt(setup);
  world.check_logins();
  CHECK(world.hear(6).empty());
  world.check_logins();
  CHECK(world.hear(6) == "STORED\r\n");
  CHECK(world.ask(World::login("one", "pw"), 7).empty());  // Not remembered any more.
  CHECK(world.ask("get a\r\n", 1) == "CLIENT_ERROR unauthenticated\r\n");
  world.rig().leave();
  world.check_logins();
  CHECK(world.rig().engine().slot_count() == 0);
}

TEST_CASE("requests above a rate are refused in step, and time opens it again") {
  Identity one = identity("one");
  one.quota = {.requests_per_second = 10, .burst_ms = 0};
  World world({.identities = {one}});
  world.log_in("one");
  CHECK(world.ask("get a b c d e\r\nget a\r\nset a 0 0 3 noreply\r\nget\r\nms a 3\r\nget\r\n"
                  "mn\r\n") ==
        "END\r\nSERVER_ERROR rate limited\r\nSERVER_ERROR rate limited\r\nMN\r\n");
  CHECK(world.rig().counted(Counter::kRateLimited) == 3);
  world.rig().advance(490);
  CHECK(world.ask("get a\r\n") == "SERVER_ERROR rate limited\r\n");
  world.rig().advance(10);
  CHECK(world.ask("get a\r\n") == "END\r\n");
}

TEST_CASE("bytes are paid for by the requests that follow") {
  Identity one = identity("one");
  one.quota = {.bytes_per_second = 10'000, .burst_ms = 100};
  World world({.identities = {one}});
  world.log_in("one");
  world.rig().advance(10);
  CHECK(world.ask("set a 0 0 20000\r\n" + std::string(20'000, 'x') + "\r\n") == "STORED\r\n");
  world.rig().advance(1'850);
  CHECK(world.ask("version\r\nget a\r\n").ends_with("SERVER_ERROR rate limited\r\n"));
  world.rig().advance(100);
  CHECK(world.ask("get b\r\n") == "END\r\n");
}

TEST_CASE("what happens to clients is told, without their keys") {
  Setup setup{.identities = {identity("one")}};
  setup.seals = true;
  setup.rights = [](const Identity&, std::string_view) { return Rights::kRead; };
  World world(setup, [](unsigned) {
    Peer peer;
    peer.kind = Peer::Kind::kUnix;
    peer.uid = 7;
    return peer;
  });
  static_cast<void>(world.ask(World::login("one", "no")));
  world.log_in("one");
  for (int i = 0; i < 20; ++i) world.rig().client_send(0, "delete s:k\r\n");
  CHECK(world.hear().size() == 20 * kDenied.size());
  const auto events = world.events();
  REQUIRE(events.size() >= 3);
  CHECK(events.size() <= 2 + AccessWork::kEventsMax);
  CHECK(events[0].kind == AccessEvent::Kind::kLoginFailed);
  CHECK(events[0].identity.empty());
  CHECK(events[1].kind == AccessEvent::Kind::kLoggedIn);
  CHECK(events[2].kind == AccessEvent::Kind::kDenied);
  CHECK(events[2].identity == "one");
  CHECK(events[2].peer == "uid 7 pid 0");
  CHECK(events[2].command == Command::kDelete);
  CHECK(world.rig().snapshot().namespaces.all()[events[2].space].prefix == "s:");
  CHECK(events[2].has_reference);
  std::array<char, kAuditCharacters> reference{};
  world.rig().snapshot().keyring->audit().refer({.space = "s:", .key = "s:k"}, reference.data());
  CHECK(events[2].reference == reference);
}
