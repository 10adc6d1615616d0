// What no node has is asked elsewhere: each step can fail, and nothing is left.
#include "sealed_world.hpp"

using namespace tokenring;
using namespace tokenring::sealed_world;

namespace {

const std::string kYes = R"({"active":true,"exp":4000000000})";

TokenRules asking(Revocation revocation = Revocation::kNone) {
  return {.revocation = revocation, .negative_ttl_s = 5, .asks = 0};
}

TokenRules asking_herd(Revocation revocation = Revocation::kNone) {
  TokenRules rules = asking(revocation);
  rules.herd_wait_ms = 400;
  return rules;
}

// A world with somebody to ask; `beside`: of the same node.
std::unique_ptr<World> asking_world(TokenRules rules = asking(), World* beside = nullptr,
                                    std::shared_ptr<const AuditRules> audit = nullptr) {
  auto world = beside == nullptr ? std::make_unique<World>(rules) : beside->another();
  auto snapshot = std::make_shared<Snapshot>(world->rig().snapshot());
  Introspection endpoint;
  endpoint.timeout_ms = 500;
  snapshot->introspections = {std::make_shared<const Introspection>(endpoint)};
  Namespace space = unsealed("");
  space.seal.mode = SealMode::kRequire;
  space.seal.blind_keys = true;
  space.tokens = rules;
  space.life = {.ttl_cap_s = 300, .token_life = TokenLife::kFollow};
  snapshot->namespaces = NamespaceTable({space});
  snapshot->audit = std::move(audit);
  world->rig().adopt(snapshot);
  world->run();
  return world;
}

std::string value_of(std::string_view key, std::string_view value = kYes) {
  return fmt::format("VALUE {} 0 {}\r\n{}\r\n", key, value.size(), value);
}

// Answers the oldest question.
void answer(World& world, const std::string* with, bool may_store = true) {
  REQUIRE_FALSE(world.rig().questions().empty());
  const Question question = world.rig().questions().front();
  world.rig().questions().erase(world.rig().questions().begin());
  world.rig().engine().fills().answer(question.id, with, may_store, world.rig().now());
  world.run();
}

// Time passes, and the node answers meanwhile.
void pass(World& world, std::int64_t ms) {
  for (std::int64_t n = 0; n < ms; n += 10) {
    world.rig().advance(10);
    world.run();
  }
}

std::string said(World& world, unsigned client = 0) {
  return std::exchange(world.rig().client(client).inbox, {});
}

}  // namespace

TEST_CASE("what is missed waits for the answer, and is a hit from then on") {
  const auto world = asking_world();
  CHECK(world->ask("get {u}:t1 t2\r\n") == "");
  REQUIRE(world->rig().questions().size() == 2);
  CHECK(world->rig().questions()[0].token == "t1");
  CHECK(world->rig().questions()[1].token == "t2");
  answer(*world, &kYes);
  answer(*world, &kYes);
  CHECK(said(*world) == value_of("{u}:t1") + value_of("t2") + "END\r\n");
  CHECK(world->ask("get {u}:t1 t2\r\nmg t2 t\r\n") ==
        value_of("{u}:t1") + value_of("t2") + "END\r\nHD t300\r\n");
  CHECK(world->rig().questions().empty());
  CHECK(world->rig().engine().client_count() == 1);
  world->check_nothing_is_left();
}

TEST_CASE("no answer is a miss") {
  const auto world = asking_world();
  CHECK(world->ask("get t\r\nmg t v q\r\nmg t v k\r\nmn\r\n") == "");
  CHECK(world->rig().questions().size() == 1);
  answer(*world, nullptr);
  CHECK(said(*world) == "END\r\nEN kt\r\nMN\r\n");
  CHECK(world->ask("get t\r\n") == "");
  CHECK(world->rig().questions().size() == 1);
  world->rig().advance(500 + Fill::kGraceMs + 10);  // Whoever was asked says nothing at all.
  CHECK(said(*world) == "END\r\n");
  answer(*world, &kYes);  // Too late.
  CHECK(said(*world) == "");
  world->check_nothing_is_left();
}

TEST_CASE(
    "the audit log is told how a read was answered, and of guesses, but of no store of ours") {
  AuditRules rules;
  rules.reads = AuditRules::kAll;
  const auto world = asking_world(asking(), nullptr, std::make_shared<const AuditRules>(rules));
  const std::string no = R"({"active":false})";
  const auto told = [&] {
    std::vector<std::string> reasons;
    const auto work = world->rig().engine().audit().take();
    if (work == nullptr) return reasons;
    for (const AuditEvent& event : work->events) reasons.emplace_back(event.reason);
    reasons.push_back(std::to_string(work->missed));
    return reasons;
  };
  const auto read = [&](const std::string& key, const std::string* with) {
    CHECK(world->ask("get " + key + "\r\n") == "");
    answer(*world, with);
    static_cast<void>(said(*world));
    return told();
  };
  CHECK(read("good", &kYes) == std::vector<std::string>{"introspected", "0"});
  CHECK(read("bad", &no) == std::vector<std::string>{"introspected: inactive", "1"});
  CHECK(read("none", nullptr) == std::vector<std::string>{"no answer", "1"});
  CHECK(world->ask("get good\r\n") == value_of("good") + "END\r\n");
  CHECK(told() == std::vector<std::string>{"hit", "0"});
}

TEST_CASE("many that miss one key share a question") {
  const auto world = asking_world();
  for (unsigned n = 0; n < 50; ++n) CHECK(world->ask("get t\r\n", n) == "");
  CHECK(world->rig().questions().size() == 1);
  world->rig().client_close(0);  // The one that began.
  world->rig().client_close(7);
  answer(*world, &kYes);
  for (unsigned n = 1; n < 50; ++n)
    CHECK(said(*world, n) == (n == 7 ? "" : value_of("t") + "END\r\n"));
  world->check_nothing_is_left();
}

TEST_CASE("no more are asked at once than there is room for") {
  const auto world = asking_world();
  std::string request = "get";
  for (std::size_t n = 0; n < Fill::kMax + 5; ++n) request += fmt::format(" {}", n);
  world->ask(request + "\r\n");
  CHECK(world->rig().questions().size() == Fill::kMax);
  while (!world->rig().questions().empty()) answer(*world, nullptr);
  CHECK(said(*world) == "END\r\n");
  world->check_nothing_is_left();
}

TEST_CASE("what is written or deleted meanwhile stays as it is") {
  const auto world = asking_world();
  CHECK(world->ask("get t\r\n") == "");
  CHECK(world->ask("set t 0 0 1\r\n7\r\nget t\r\n", 1) == "STORED\r\nVALUE t 0 1\r\n7\r\nEND\r\n");
  answer(*world, &kYes);
  CHECK(said(*world) == value_of("t") + "END\r\n");
  CHECK(world->ask("get t\r\n") == "VALUE t 0 1\r\n7\r\nEND\r\n");
  CHECK(world->ask("get u\r\n") == "");
  CHECK(world->ask("delete u\r\n", 1) == "NOT_FOUND\r\n");
  CHECK(world->ask("get u\r\n", 1) == "");
  REQUIRE(world->rig().questions().size() == 3);
  CHECK(world->rig().questions()[1].forgets);
  CHECK(world->rig().questions()[1].token == "u");
  answer(*world, &kYes);
  CHECK(said(*world) == value_of("u") + "END\r\n");
  CHECK(said(*world, 1) == "");
  world->rig().questions().erase(world->rig().questions().begin());
  answer(*world, &kYes, false);  // By somebody's account it is not to be kept.
  CHECK(said(*world, 1) == value_of("u") + "END\r\n");
  CHECK(world->ask("get u\r\n", 1) == "");
  answer(*world, nullptr);
  world->check_nothing_is_left();
}

TEST_CASE("a revocation parts what was asked before it from what comes after") {
  for (const Revocation how : {Revocation::kGeneration, Revocation::kNotBefore}) {
    const auto world = asking_world(asking(how));
    CHECK(world->ask("set {u}:x 0 0 1\r\n7\r\nget {u}:t\r\n") == "STORED\r\n");
    CHECK(world->ask("delete {u}\r\nget {u}:t\r\n", 1) == "DELETED\r\n");
    REQUIRE(world->rig().questions().size() == 2);
    CHECK(world->rig().questions()[0].epoch != world->rig().questions()[1].epoch);
    const std::string no = R"({"active":false})";
    if (how == Revocation::kGeneration) {
      answer(*world, &kYes);
      CHECK(said(*world) == value_of("{u}:t") + "END\r\n");
      CHECK(world->ask("get {u}:t\r\n") == "");  // It was of another generation.
      answer(*world, &no);
      CHECK(said(*world) == value_of("{u}:t", no) + "END\r\n");
    } else {
      answer(*world, &kYes);
      answer(*world, &no);
    }
    world->check_nothing_is_left();
  }
}

TEST_CASE("a first fill makes its group's marker, unless it is revoked meanwhile") {
  for (const bool revokes : {false, true}) {
    CAPTURE(revokes);
    const auto world = asking_world(asking(Revocation::kGeneration));
    CHECK(world->ask("get {u}:t\r\n") == "");
    if (revokes) CHECK(world->ask("delete {u}\r\n", 1) == "DELETED\r\n");
    answer(*world, &kYes);
    CHECK(said(*world) == value_of("{u}:t") + "END\r\n");
    CHECK(world->ask("get {u}:t\r\n") == (revokes ? "" : value_of("{u}:t") + "END\r\n"));
    while (!world->rig().questions().empty()) answer(*world, nullptr);
    world->check_nothing_is_left();
  }
}

TEST_CASE("of proxies with a herd one asks, and the others wait for what it stores") {
  for (const Revocation how : {Revocation::kNone, Revocation::kGeneration}) {
    const auto world = asking_world(asking_herd(how));
    const auto other = asking_world(asking_herd(how), world.get());
    CHECK(world->ask("get {u}:t\r\n") == "");
    for (unsigned n = 1; n < 5; ++n) CHECK(world->ask("get {u}:t\r\n", n) == "");
    for (unsigned n = 0; n < 5; ++n) CHECK(other->ask("gets {u}:t\r\n", n) == "");
    pass(*other, 200);
    CHECK(world->rig().questions().size() == 1);
    CHECK(other->rig().questions().empty());
    answer(*world, &kYes);
    for (unsigned n = 0; n < 5; ++n) CHECK(said(*world, n) == value_of("{u}:t") + "END\r\n");
    pass(*other, 100);
    for (unsigned n = 0; n < 5; ++n) CHECK(said(*other, n).starts_with("VALUE {u}:t 0 "));
    CHECK(other->rig().questions().empty());
    CHECK(world->ask("get {u}:t\r\nmg {u}:t t\r\n") == value_of("{u}:t") + "END\r\nHD t300\r\n");
    world->check_nothing_is_left();
    other->check_nothing_is_left();
  }
}

TEST_CASE("who waits in vain for another proxy's answer asks for himself") {
  const auto world = asking_world(asking_herd());
  const auto other = asking_world(asking_herd(), world.get());
  CHECK(world->ask("get t\r\n") == "");
  CHECK(other->ask("get t\r\n") == "");
  answer(*world, nullptr);
  CHECK(said(*world) == "END\r\n");  // And its lease is left to expire.
  pass(*other, 390);
  CHECK(other->rig().questions().empty());
  pass(*other, 200);
  CHECK(other->rig().questions().size() == 1);
  CHECK(other->ask("get t\r\n", 1) == "");  // Joins, and does not wait.
  CHECK(world->ask("mg t v\r\n") == "");    // Heeds no lease.
  CHECK(world->rig().questions().size() == 1);
  answer(*other, &kYes);
  CHECK(said(*other) == value_of("t") + "END\r\n");
  CHECK(said(*other, 1) == value_of("t") + "END\r\n");
  answer(*world, nullptr);
  CHECK(said(*world) == "EN\r\n");
  CHECK(world->ask("get t\r\n") == value_of("t") + "END\r\n");
  world->check_nothing_is_left();
  other->check_nothing_is_left();
}

TEST_CASE("a lease that nobody fills ends") {
  const auto world = asking_world(asking_herd());
  CHECK(world->ask("get t\r\n") == "");
  answer(*world, nullptr);
  CHECK(said(*world) == "END\r\n");
  world->rig().advance(3'000);
  CHECK(world->ask("get t\r\n") == "");
  CHECK(world->rig().questions().size() == 1);  // At once.
  answer(*world, &kYes);
  CHECK(said(*world) == value_of("t") + "END\r\n");
  world->check_nothing_is_left();
}

TEST_CASE("every step of a fill may fail, and nothing is left") {
  for (const TokenRules& rules : {asking(), asking(Revocation::kGeneration), asking_herd(),
                                  asking_herd(Revocation::kGeneration)}) {
    for (const Trouble& trouble : troubles()) {
      for (int at = 0; at < 10; ++at) {
        CAPTURE(trouble.name);
        CAPTURE(at);
        const auto world = asking_world(rules);
        Rig& rig = world->rig();
        rig.client_send(0, "get {u}:t\r\nmn\r\n");
        rig.turn();
        bool happened = false;
        // One step: the node answers, or the endpoint does.
        for (int step = 0; step < 20; ++step) {
          const bool is_idle = rig.node(0).inbox.empty() && rig.questions().empty();
          if (is_idle) break;
          if (step == at) {
            trouble.make(*world);
            happened = true;
          } else if (!rig.node(0).inbox.empty()) {
            rig.node_send(0, world->serve());
          } else {
            const Question question = rig.questions().front();
            rig.questions().clear();
            rig.engine().fills().answer(question.id, &kYes, true, rig.now());
          }
          rig.turn();
        }
        world->run();
        rig.advance(3000);
        world->run();
        const std::string got = said(*world);
        if (trouble.name != "the client leaves") {
          const bool is_hit = got == value_of("{u}:t") + "END\r\nMN\r\n";
          CHECK((is_hit || got == "END\r\nMN\r\n" || got.starts_with("SERVER_ERROR")));
          if (!happened) CHECK(is_hit);
        }
        world->entropy().fails = false;
        world->check_nothing_is_left();
        if (!happened) break;
      }
    }
  }
}
