// Values that a worker keeps: what is asked of the node all the same, and what must be.
#include "access_world.hpp"
#include "near_workers.hpp"

using namespace tokenring;
using namespace tokenring::near_kit;

TEST_CASE("what was read is given out again") {
  Workers workers;
  keep_one(workers);
  CHECK(workers.tally(SpaceTally::kNearHits) == 1);
  CHECK(workers.tally(SpaceTally::kNearMisses) == 1);
  CHECK(workers.tally(SpaceTally::kGets) == 2);
  CHECK(workers.tally(SpaceTally::kHits) == 2);
  CHECK(workers.rig().counted(Counter::kGetHits) == 2);
  CHECK_FALSE(workers.is_near("get none\r\n", "END\r\n"));
  CHECK_FALSE(workers.is_near("get none\r\n", "END\r\n"));  // What is not there is not kept.
  workers.rig().advance(200);
  CHECK(workers.tally(SpaceTally::kNearBytes) > 0);
}

TEST_CASE("each form of a get says what the node would") {
  const std::vector<std::string> requests = {"mg k v f s k q Oabc\r\nmn\r\n",
                                             "mg k\r\n",
                                             "mg k v\r\n",
                                             "mg aw== b v k\r\n",
                                             "mg k s q v\r\nmn\r\n",
                                             "mg aw== b v\r\n",
                                             "mg k O1 f\r\n",
                                             "mg k k s\r\n",
                                             "get k\r\n",
                                             "get k other k\r\n",
                                             "get other k\r\n"};
  for (const std::string& first : requests) {
    CAPTURE(first);
    Workers plain([](Snapshot& snapshot) { snapshot.namespaces = NamespaceTable({Namespace{}}); });
    Workers workers;
    for (Workers* each : {&plain, &workers})
      REQUIRE(each->ask("set k 42 0 3\r\nabc\r\nset other 7 0 2\r\nxy\r\n") ==
              "STORED\r\nSTORED\r\n");
    CHECK(workers.ask(first) == plain.ask(first));
    for (const std::string& request : requests) {
      CAPTURE(request);
      CHECK(workers.ask(request) == plain.ask(request));
    }
    for (const std::string& request : requests) {
      CAPTURE(request);
      const std::string expected = plain.ask(request);
      // A node tells a key as its item was made.
      CHECK(workers.is_near(request, expected) == (request != "mg aw== b v k\r\n"));
    }
  }
}

TEST_CASE("what tells more than value, size and flags is asked of the node") {
  Workers workers;
  keep_one(workers);
  for (const std::string request :
       {"gets k\r\n", "mg k v t\r\n", "mg k v c\r\n", "mg k h l\r\n", "me k\r\n"}) {
    CAPTURE(request);
    const std::size_t before = workers.asked(0);
    CHECK(workers.ask(request) != "");
    CHECK(workers.asked(0) > before);
    CHECK(workers.is_near("get k\r\n", kOne));
  }
}

TEST_CASE("each kind of write ends what is kept, from when it is sent until it is answered") {
  const std::vector<std::string> writes = {
      "set k 0 0 1\r\n2\r\n",
      "set k 0 0 1 noreply\r\n2\r\n",
      "add k 0 0 1\r\n2\r\n",
      "replace k 0 0 1\r\n2\r\n",
      "append k 0 0 1\r\n2\r\n",
      "prepend k 0 0 1\r\n2\r\n",
      "cas k 0 0 1 1\r\n2\r\n",
      "incr k 1\r\n",
      "decr k 1\r\n",
      "touch k 100\r\n",
      "gat 100 k\r\n",
      "delete k\r\n",
      "ms k 1\r\n2\r\n",
      "ms k 1 q\r\n2\r\n",
      "md k\r\n",
      "md aw== b q\r\n",
      "ma k\r\n",
      "mg k T100 v\r\n",
      "set k 0 0 2000000\r\n" + std::string(2'000'000, 'x') + "\r\n"};
  for (const std::string& write : writes) {
    for (const bool fails : {false, true}) {
      CAPTURE(write.substr(0, 40));
      CAPTURE(fails);
      Workers workers;
      keep_one(workers);
      workers.send(write, 0);
      // On the way there; another worker may still read what was.
      CHECK_FALSE(workers.is_near("get k\r\n", kOne, 1));
      CHECK_FALSE(workers.is_near("get k\r\n", kOne, 1));
      // Done, and on the way back.
      const std::string replies = workers.serve(0);
      const std::string now = workers.ask("gets k\r\n", 1);
      const std::string expected = now == "END\r\n" ? now : workers.ask("get k\r\n", 1);
      CHECK_FALSE(workers.is_near("get k\r\n", expected, 1));
      if (fails)
        workers.rig().node_close(0);
      else
        workers.rig().node_send(0, replies);
      static_cast<void>(workers.hear(0));
      for (const unsigned worker : {1U, 0U}) {
        CHECK_FALSE(workers.is_near("get k\r\n", expected, worker));
        CHECK(workers.is_near("get k\r\n", expected, worker) == (expected != "END\r\n"));
      }
    }
  }
}

TEST_CASE("a later request of the same client sees its write") {
  Workers workers;
  keep_one(workers);
  CHECK(workers.ask("set k 0 0 1\r\n2\r\nget k\r\n") == "STORED\r\n" + std::string(kTwo));
  CHECK(workers.ask("delete k noreply\r\nget k\r\n") == "END\r\n");
}

TEST_CASE("what was asked before a write and answered after it is not kept") {
  Workers workers;
  REQUIRE(workers.ask("set k 0 0 1\r\n1\r\n") == "STORED\r\n");
  workers.send("get k\r\n", 1);
  const std::string old = workers.serve(1);
  CHECK(workers.ask("set k 0 0 1\r\n2\r\n", 0) == "STORED\r\n");
  workers.rig(1).node_send(0, old);
  CHECK(workers.hear(1) == kOne);  // It was asked before.
  CHECK_FALSE(workers.is_near("get k\r\n", kTwo, 1));
  CHECK(workers.is_near("get k\r\n", kTwo, 1));
}

TEST_CASE("a write that timed out is under way until its answer") {
  Workers workers;
  keep_one(workers);
  workers.send("set k 0 0 1\r\n2\r\n", 0);
  workers.rig(0).advance(150);
  CHECK(workers.rig(0).client(0).inbox.starts_with("SERVER_ERROR"));
  CHECK_FALSE(workers.is_near("get k\r\n", kOne, 1));
  CHECK_FALSE(workers.is_near("get k\r\n", kOne, 1));
  workers.rig(0).node_send(0, workers.serve(0));
  workers.rig(0).turn();
  CHECK_FALSE(workers.is_near("get k\r\n", kTwo, 1));
  CHECK(workers.is_near("get k\r\n", kTwo, 1));
}

TEST_CASE("of several keys those that are kept are not asked for, and the order holds") {
  Workers workers;
  for (const char key : {'a', 'b', 'c', 'd'})
    REQUIRE(workers.ask(fmt::format("set {} 0 0 1\r\n{}\r\n", key, key)) == "STORED\r\n");
  static_cast<void>(workers.ask("get b d\r\n"));
  const std::size_t before = workers.rig().node(0).connections.back().size();
  CHECK(workers.ask("get a b none c d\r\n") ==
        "VALUE a 0 1\r\na\r\nVALUE b 0 1\r\nb\r\nVALUE c 0 1\r\nc\r\nVALUE d 0 1\r\nd\r\nEND\r\n");
  CHECK(workers.rig().node(0).connections.back().substr(before) == "get a none c\r\nmn\r\n");
  CHECK(workers.is_near("mg none q v\r\nmg a q v k\r\nmg d q v k\r\nmn\r\n",
                        "VA 1 ka\r\na\r\nVA 1 kd\r\nd\r\nMN\r\n") == false);
  CHECK(workers.is_near("mg a q v k\r\nmg d q v k\r\nmn\r\n",
                        "VA 1 ka\r\na\r\nVA 1 kd\r\nd\r\nMN\r\n"));
}

TEST_CASE("a value is over after its time, also where the worker stood still") {
  Workers workers;
  keep_one(workers);
  workers.rig().advance(900);
  CHECK(workers.is_near("get k\r\n", kOne));
  workers.rig().advance(100);
  CHECK_FALSE(workers.is_near("get k\r\n", kOne));
  CHECK(workers.is_near("get k\r\n", kOne));
  workers.rig().engine().set_lag(1'000'000'000);
  CHECK_FALSE(workers.is_near("get k\r\n", kOne));
  CHECK(workers.is_near("get k\r\n", kOne));
  workers.rig().advance(1'000);
  // A reply that waited while it stood still is of nobody knows when.
  workers.send("get k\r\n");
  workers.rig().advance(10);
  workers.rig().engine().set_lag(5'000'000'000);
  CHECK(workers.hear() == kOne);
  CHECK_FALSE(workers.is_near("get k\r\n", kOne));
  workers.rig().advance(2'500);
  CHECK(workers.tally(SpaceTally::kNearBytes) == 0);
}

TEST_CASE("what is stale or leased is not kept") {
  Workers workers;
  REQUIRE(workers.ask("set k 0 0 1\r\n1\r\n") == "STORED\r\n");
  REQUIRE(workers.ask("md k I T30\r\n") == "HD\r\n");
  CHECK_FALSE(workers.is_near("mg k v f\r\n", "VA 1 f0 X W\r\n1\r\n"));
  CHECK_FALSE(workers.is_near("mg k v f\r\n", "VA 1 f0 Z X\r\n1\r\n"));
}

TEST_CASE("flush_all ends everything") {
  Workers workers;
  keep_one(workers);
  workers.send("flush_all\r\n", 0);
  CHECK_FALSE(workers.is_near("get k\r\n", kOne, 1));
  CHECK_FALSE(workers.is_near("get k\r\n", kOne, 1));
  CHECK(workers.hear(0) == "OK\r\n");
  CHECK_FALSE(workers.is_near("get k\r\n", "END\r\n", 1));
  CHECK(workers.ask("set k 0 0 1\r\n2\r\n") == "STORED\r\n");
  CHECK_FALSE(workers.is_near("get k\r\n", kTwo, 1));
  CHECK(workers.is_near("get k\r\n", kTwo, 1));
}

TEST_CASE("a sealed value is opened once, and is over with its token") {
  Workers workers(sealed({}, {.max_age_s = 2}));
  keep_one(workers);
  CHECK(workers.tally(SpaceTally::kOpened) == 1);
  CHECK(workers.is_near("mg k v f s k\r\n", "VA 1 f0 s1 kk\r\n1\r\n"));
  workers.rig().advance(1'500);
  CHECK_FALSE(workers.is_near("get k\r\n", kOne));
  CHECK(workers.is_near("get k\r\n", kOne));
  workers.rig().advance(500);
  CHECK_FALSE(workers.is_near("get k\r\n", "END\r\n"));
  CHECK(workers.ask("set k 0 0 1\r\n1\r\nincr k 1\r\n") == "STORED\r\n2\r\n");
  CHECK_FALSE(workers.is_near("get k\r\n", kTwo));
  CHECK(workers.is_near("get k\r\n", kTwo));
}

TEST_CASE("revoking a group ends all that is kept of it") {
  for (const Revocation how : {Revocation::kGeneration, Revocation::kNotBefore}) {
    Workers workers(sealed({.revocation = how}));
    const std::vector<std::string> keys = {"{u}:1", "{u}:2", "{v}:1", "alone"};
    for (const std::string& key : keys)
      REQUIRE(workers.ask(fmt::format("set {} 0 0 1\r\n1\r\n", key)) == "STORED\r\n");
    const auto value = [](const std::string& key) {
      return fmt::format("VALUE {} 0 1\r\n1\r\nEND\r\n", key);
    };
    for (const unsigned worker : {0U, 1U}) {
      for (const std::string& key : keys) {
        CHECK_FALSE(workers.is_near("get " + key + "\r\n", value(key), worker));
        CHECK(workers.is_near("get " + key + "\r\n", value(key), worker));
      }
    }
    workers.send("delete {u}\r\n", 0);
    CHECK_FALSE(workers.is_near("get {u}:1\r\n", value("{u}:1"), 1));
    CHECK(workers.hear(0) == "DELETED\r\n");
    for (const unsigned worker : {0U, 1U}) {
      CHECK_FALSE(workers.is_near("get {u}:1\r\n", "END\r\n", worker));
      CHECK_FALSE(workers.is_near("get {u}:2\r\n", "END\r\n", worker));
      CHECK(workers.is_near("get {v}:1\r\n", value("{v}:1"), worker));
      CHECK(workers.is_near("get alone\r\n", value("alone"), worker));
    }
    CHECK(workers.ask("delete alone\r\n", 1) == "DELETED\r\n");
    CHECK_FALSE(workers.is_near("get alone\r\n", "END\r\n", 0));
  }
}

TEST_CASE("what is written after a near hit belongs to the generation that was read") {
  Workers workers(sealed({.revocation = Revocation::kGeneration}));
  REQUIRE(workers.ask("set {u}:1 0 0 1\r\n1\r\n") == "STORED\r\n");
  constexpr std::string_view kValue = "VALUE {u}:1 0 1\r\n1\r\nEND\r\n";
  CHECK_FALSE(workers.is_near("get {u}:1\r\n", kValue, 0, 1));
  CHECK(workers.is_near("get {u}:1\r\n", kValue, 0, 2));
  CHECK(workers.is_near("get {u}:1\r\n", kValue, 0, 3));
  const std::size_t before = workers.asked(0);
  CHECK(workers.ask("set {u}:1 0 0 1\r\n2\r\n", 0, 3) == "STORED\r\n");
  const std::size_t at_once = workers.asked(0) - before;
  CHECK(workers.ask("set {u}:1 0 0 1\r\n2\r\n", 0, 3) == "STORED\r\n");
  CHECK(workers.asked(0) - before - at_once > at_once);  // Without a ticket it asks first.
  CHECK(workers.ask("delete {u}\r\n", 1) == "DELETED\r\n");
  CHECK(workers.ask("set {u}:1 0 0 1\r\n2\r\n", 0, 2) == "STORED\r\n");
  CHECK_FALSE(workers.is_near("get {u}:1\r\n", "END\r\n"));  // It began before the revocation.
}

TEST_CASE("a get does not join one that was sent before another worker's write") {
  Workers workers([](Snapshot& snapshot) {
    Namespace space = near_space();
    space.coalesce = true;
    snapshot.namespaces = NamespaceTable({space});
  });
  REQUIRE(workers.ask("set k 0 0 1\r\n1\r\n") == "STORED\r\n");
  workers.send("get k\r\n", 1, 0);
  const std::string old = workers.serve(1);
  workers.send("get k\r\n", 1, 1);
  CHECK(workers.rig(1).counted(Counter::kCoalesced) == 1);
  CHECK(workers.ask("set k 0 0 1\r\n2\r\n", 0) == "STORED\r\n");
  workers.send("get k\r\n", 1, 2);
  CHECK(workers.rig(1).counted(Counter::kCoalesced) == 1);
  workers.rig(1).node_send(0, old);
  CHECK(workers.hear(1, 2) == kTwo);
  CHECK(workers.hear(1, 0) == kOne);
  CHECK(workers.hear(1, 1) == kOne);
  CHECK(workers.is_near("get k\r\n", kTwo, 1));
}

TEST_CASE("a reload ends all, and nothing is kept until all workers have it") {
  Workers workers;
  keep_one(workers);
  workers.send("set k 0 0 1\r\n2\r\n", 0);
  const auto epochs = std::make_shared<NearEpochs>(2, 4);
  workers.rig(0).adopt(workers.another_snapshot(0, epochs));
  // The other worker has the old one yet, and does not hear of writes.
  CHECK(workers.hear(0) == "STORED\r\n");
  CHECK(workers.ask("set k 0 0 1\r\n1\r\n", 0) == "STORED\r\n");
  for (const unsigned worker : {0U, 1U, 0U, 1U})
    CHECK_FALSE(workers.is_near("get k\r\n", kOne, worker));
  // A write that began before it has the new one counts there.
  workers.send("set k 0 0 1\r\n2\r\n", 1);
  workers.rig(1).adopt(workers.another_snapshot(1, epochs));
  for (int i = 0; i < 2; ++i) CHECK_FALSE(workers.is_near("get k\r\n", kOne, 0));
  CHECK(workers.hear(1) == "STORED\r\n");
  for (const unsigned worker : {0U, 1U}) {
    CHECK_FALSE(workers.is_near("get k\r\n", kTwo, worker));
    CHECK(workers.is_near("get k\r\n", kTwo, worker));
  }
  auto without = workers.another_snapshot(0, nullptr);
  without->namespaces = NamespaceTable({Namespace{}});
  workers.rig(0).adopt(without);
  CHECK_FALSE(workers.is_near("get k\r\n", kTwo, 0));
  CHECK_FALSE(workers.is_near("get k\r\n", kTwo, 1));
}

TEST_CASE("owners do not see each other's") {
  access_kit::Setup setup;
  setup.identities = {access_kit::identity("one", 1), access_kit::identity("two", 2)};
  access_kit::World world(setup);
  auto snapshot = std::make_shared<Snapshot>(world.rig().snapshot());
  std::vector<Namespace> spaces(snapshot->namespaces.all().begin(),
                                snapshot->namespaces.all().end());
  for (Namespace& space : spaces) space.near = near_space().near;  // They share a cache.
  snapshot->namespaces = NamespaceTable(spaces);
  snapshot->near_epochs = std::make_shared<NearEpochs>(1, 1);
  world.rig().adopt(snapshot);
  world.log_in("one", 0);
  world.log_in("two", 1);
  CHECK(world.ask("set k 0 0 1\r\n1\r\n", 0) == "STORED\r\n");
  CHECK(world.ask("get k\r\n", 0) == kOne);
  CHECK(world.ask("get k\r\nget k\r\n", 1) == "END\r\nEND\r\n");
  CHECK(world.ask("set k 0 0 1\r\n2\r\n", 1) == "STORED\r\n");
  CHECK(world.ask("get k\r\n", 1) == kTwo);
  world.seen_by_node.clear();
  CHECK(world.ask("get k\r\n", 1) == kTwo);
  CHECK(world.ask("get k\r\n", 0) == kOne);
  CHECK(world.ask("mg k v k\r\n", 0) == "VA 1 kk\r\n1\r\n");
  CHECK(world.seen_by_node == "");
}
