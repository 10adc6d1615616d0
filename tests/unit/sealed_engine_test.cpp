// Sealed values through the engine, before an embedded node: each step of each flow can fail, and
// whatever fails, every request is answered once, in order, and nothing is left behind.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "../wire/rig.hpp"
#include "seal_kit.hpp"
#include "store/embedded_node.hpp"

using namespace tokenring;
using namespace tokenring::seal_kit;
using tokenring::test::Rig;
using tokenring::test::RigOptions;

namespace {

Namespace unsealed(std::string prefix) {
  Namespace space;
  space.prefix = std::move(prefix);
  return space;
}

void seal_all(Snapshot& snapshot, std::string_view keys = kKeyFile) {
  snapshot.keyring = keyring_of(keys);
  Namespace space = unsealed("");
  space.seal.mode = SealMode::kRequire;
  space.seal.blind_keys = true;
  snapshot.namespaces = NamespaceTable({space});
  snapshot.keys = NamespaceKeys::derive(*snapshot.keyring, std::vector<std::string>{""});
  snapshot.has_blind_keys = true;
}

// A proxy whose only node is an embedded one; what comes of its requests goes back when asked for.
class World {
 public:
  World()
      : World(std::make_shared<EmbeddedNode>(StoreOptions{.bytes_max = std::size_t{8} << 20})) {}
  explicit World(std::shared_ptr<EmbeddedNode> node, std::uint64_t seed = 1)
      : entropy_(seed), node_(std::move(node)), rig_(with_seal(entropy_)) {}
  // Another proxy before the same node.
  [[nodiscard]] std::unique_ptr<World> another() const { return std::make_unique<World>(node_, 2); }

  Rig& rig() noexcept { return rig_; }
  SeededEntropy& entropy() noexcept { return entropy_; }

  // What the node answers to what has come to it; a part of a request stays there.
  std::string serve() {
    std::string& inbox = rig_.node(0).inbox;
    std::string replies;
    while (true) {
      OutQueue out;
      const std::size_t done = node_->serve(inbox, rig_.now().unix_time, out, pool_);
      std::array<std::string_view, 1> piece;
      while (!out.empty()) {
        static_cast<void>(out.front(piece));
        replies += piece[0];
        out.consume(piece[0].size());
      }
      if (done == 0) return replies;
      inbox.erase(0, done);
    }
  }
  // Until nobody has anything to say.
  void run() {
    for (int i = 0; i < 10'000; ++i) {
      rig_.turn();
      if (rig_.node(0).inbox.empty()) return;
      rig_.node_send(0, serve());
    }
    FAIL("it does not end");
  }
  std::string ask(std::string_view request, unsigned client = 0) {
    rig_.client_send(client, request);
    run();
    return std::exchange(rig_.client(client).inbox, {});
  }
  void check_nothing_is_left() {
    rig_.leave();
    CHECK(rig_.engine().slot_count() == 0);
    CHECK(rig_.engine().sealing_count() == 0);
    CHECK(rig_.engine().in_flight() == 0);
    CHECK(rig_.engine().pool().bytes_lent() == 0);
  }

 private:
  static RigOptions with_seal(Entropy& entropy) {
    RigOptions options;
    options.entropy = &entropy;
    options.pool.request_timeout_ms = 100;
    options.adjust = [](Snapshot& snapshot) { seal_all(snapshot); };
    return options;
  }

  SeededEntropy entropy_;
  BufferPool pool_;
  std::shared_ptr<EmbeddedNode> node_;
  Rig rig_;
};

struct Script {
  std::string_view name;
  std::string_view request;   // The last reply is that of the mn.
  std::string_view expected;  // Without a failure.
};

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

// What goes wrong when the node has been sent something for the nth time.
struct Trouble {
  std::string_view name;
  std::function<void(World&)> make;
  bool loses_replies = true;  // Else all is answered as if nothing had been.
};

const std::vector<Trouble>& troubles() {
  static const std::vector<Trouble> all = {
      {"the link is lost before", [](World& world) { world.rig().node_close(0); }},
      {"the link is lost after",
       [](World& world) {
         static_cast<void>(world.serve());
         world.rig().node_close(0);
       }},
      {"too late",
       [](World& world) {
         const std::string replies = world.serve();
         world.rig().advance(150);
         world.rig().node_send(0, replies);
       }},
      {"never served",
       [](World& world) {
         world.rig().node(0).inbox.clear();
         world.rig().advance(400);
         world.rig().node_close(0);
       }},
      {"half a reply",
       [](World& world) {
         const std::string replies = world.serve();
         world.rig().node_send(0, replies.substr(0, replies.size() / 2));
         world.rig().node_close(0);
       }},
      {"nonsense", [](World& world) { world.rig().node_send(0, "HD\r\nVA 1\r\n"); }},
      {"an error",
       [](World& world) {
         world.rig().node_send(0, "SERVER_ERROR out of memory\r\n");
         world.rig().node_close(0);
       }},
      {"no entropy", [](World& world) { world.entropy().fails = true; }},
      {"the client leaves", [](World& world) { world.rig().client_close(0); }},
      {"the client ends", [](World& world) { world.rig().client_end(0); }, false},
      {"the sealing ends",
       [](World& world) {
         auto plain = std::make_shared<Snapshot>(world.rig().snapshot());
         plain->namespaces = NamespaceTable({unsealed("")});
         plain->keys = nullptr;
         world.rig().adopt(plain);
       }},
      {"the namespace ends",
       [](World& world) {
         auto other = std::make_shared<Snapshot>(world.rig().snapshot());
         other->namespaces = NamespaceTable({unsealed("other:")});
         other->keys = nullptr;
         world.rig().adopt(other);
       }},
      {"other keys",
       [](World& world) {
         auto rotated = std::make_shared<Snapshot>(world.rig().snapshot());
         seal_all(*rotated, kRotatedKeyFile);
         world.rig().adopt(rotated);
       },
       false},
  };
  return all;
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t end; (end = text.find("\r\n")) != std::string_view::npos;) {
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 2);
  }
  CHECK(text.empty());
  return lines;
}

}  // namespace

TEST_CASE("every step of every flow may fail, and nothing is left") {
  for (const Script& script : kScripts) {
    for (const Trouble& trouble : troubles()) {
      for (int at = 0; at < 8; ++at) {
        CAPTURE(script.name);
        CAPTURE(trouble.name);
        CAPTURE(at);
        World world;
        REQUIRE(world.ask("set n 3 0 1\r\n5\r\nset m 0 0 1\r\n1\r\n") == "STORED\r\nSTORED\r\n");
        world.rig().client_send(0, script.request);
        world.rig().turn();
        int exchanges = 0;
        for (; exchanges < at && !world.rig().node(0).inbox.empty(); ++exchanges) {
          world.rig().node_send(0, world.serve());
          world.rig().turn();
        }
        const bool is_over = world.rig().node(0).inbox.empty();
        if (!is_over) trouble.make(world);
        world.run();
        world.rig().advance(2000);
        world.run();
        const std::string got = world.rig().client(0).inbox;
        if (is_over || !trouble.loses_replies) CHECK(got == script.expected);
        const bool stays = trouble.name != "the client leaves";
        if (stays) {
          CHECK(got.ends_with("MN\r\n"));
          CHECK(lines_of(got).size() <= lines_of(script.expected).size());
        }
        const bool serves =
            !trouble.name.starts_with("the client") && !trouble.name.starts_with("the namespace");
        world.entropy().fails = false;
        if (serves) {
          world.rig().client(0).inbox.clear();
          CHECK(world.ask("set again 0 0 2\r\nok\r\nget again\r\n") ==
                "STORED\r\nVALUE again 0 2\r\nok\r\nEND\r\n");
        }
        world.check_nothing_is_left();
        if (is_over) break;
      }
    }
  }
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
