// Who stands in for a node that is down, what becomes of stats when one fails, and which clients
// are closed.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../wire/rig.hpp"
#include "../wire/talk.hpp"

using namespace tokenring;
using namespace tokenring::test;

namespace {

void take_down(Rig& rig, unsigned link) {
  rig.node(link).refuses = true;
  rig.node_close(link);
  rig.advance(20);
}

std::string value_of(std::string_view stats, std::string_view name) {
  const std::string head = "STAT " + std::string(name) + " ";
  const std::size_t at = stats.find(head);
  if (at == std::string_view::npos) return {};
  const std::size_t from = at + head.size();
  return std::string(stats.substr(from, stats.find('\r', from) - from));
}

constexpr PoolOptions kFailover{.on_node_down = OnNodeDown::kFailover, .failover_nodes = 2};

}  // namespace

TEST_CASE("the next nodes on the ring stand in, in its order, as far as failover_nodes goes") {
  Rig rig({.nodes = 4, .pool = kFailover});
  std::vector<NodeSpec> specs(4);
  for (unsigned i = 0; i < 4; ++i) specs[i].address = "10.0.0." + std::to_string(i + 1) + ":11211";
  const Ring ring = Ring::make(specs, {}).value();
  const std::string key = rig.key_on("a", 0);
  std::array<std::uint32_t, 4> owners;
  REQUIRE(ring.owners_of(key, owners) == 4);
  REQUIRE(owners[0] == 0);
  for (std::size_t down = 0; down < 3; ++down) {
    take_down(rig, owners[down]);
    const std::uint64_t moved = rig.counted(Counter::kFailedOver);
    ask(rig, 1, "set " + key + " 0 3600 1\r\nx\r\n");
    for (unsigned node = 0; node < 4; ++node) {
      CAPTURE(node);
      const std::string sent = heard(rig, node);
      if (down < 2 && node == owners[down + 1])
        CHECK(sent.starts_with("ms " + key + " 1 T10 O"));
      else
        CHECK(sent.empty());
    }
    CHECK(rig.counted(Counter::kFailedOver) - moved == (down < 2 ? 1 : 0));
  }
  // The two asked have not answered and are down; there is no third.
  CHECK(told(rig, 1) ==
        "SERVER_ERROR connection to node lost\r\nSERVER_ERROR connection to node lost\r\n"
        "SERVER_ERROR node is down\r\n");
}

TEST_CASE("a gutter takes what a node that is down cannot, and only that") {
  Rig rig({.nodes = 2, .gutter_nodes = 1, .pool = {.on_node_down = OnNodeDown::kGutter}});
  const std::string here = rig.key_on("a", 0);
  const std::string there = rig.key_on("b", 1);
  take_down(rig, 1);
  ask(rig, 1, "set " + here + " 0 0 1\r\nx\r\nset " + there + " 0 0 1\r\nx\r\n");
  CHECK(heard(rig, 0).starts_with("ms " + here + " 1 O"));
  CHECK(heard(rig, 2).starts_with("ms " + there + " 1 T10 O"));
  // Without a flush at its return, the node would bring back what was deleted meanwhile.
  ask(rig, 2, "delete " + there + "\r\ncas " + there + " 0 0 1 5\r\nx\r\n");
  CHECK(told(rig, 2) == "SERVER_ERROR node is down\r\nSERVER_ERROR node is down\r\n");
  take_down(rig, 2);
  ask(rig, 3, "get " + there + "\r\n");
  CHECK(told(rig, 3) == "END\r\n");
  CHECK(rig.counted(Counter::kFailedOver) == 1);
}

TEST_CASE("what comes while a node is flushed at its return waits, and follows the flush") {
  PoolOptions pool = kFailover;
  pool.on_rejoin = OnRejoin::kFlush;
  Rig rig({.nodes = 2, .pool = pool});
  const std::string key = rig.key_on("a", 0);
  take_down(rig, 0);
  ask(rig, 1, "delete " + key + "\r\n");
  const std::string sent = heard(rig, 1);
  REQUIRE(sent.starts_with("md " + key + " O"));
  say(rig, 1, "NF" + sent.substr(sent.rfind(" O"), 6) + "\r\n");
  CHECK(told(rig, 1) == "NOT_FOUND\r\n");
  rig.node(0).refuses = false;
  for (int i = 0; i < 60 && rig.node(0).inbox.empty(); ++i) rig.advance(10);
  REQUIRE(heard(rig, 0) == "flush_all\r\n");
  ask(rig, 1, "delete " + key + "\r\n");
  CHECK(heard(rig, 0).empty());
  CHECK(heard(rig, 1).empty());
  say(rig, 0, "OK\r\n");
  CHECK(heard(rig, 0).starts_with("md " + key + " O"));
  CHECK(rig.counted(Counter::kRejoinFlushes) == 1);
}

TEST_CASE("stats are the sum of those nodes that answer, whatever becomes of the others") {
  Rig rig({.nodes = 3});
  ask(rig, 1, "stats\r\nmn\r\n");
  for (unsigned node = 0; node < 3; ++node) CHECK(heard(rig, node) == "stats\r\nmn\r\n");
  say(rig, 0, "STAT cmd_get 5\r\nSTAT pid 1\r\nEND\r\nMN\r\n");
  say(rig, 1, "STAT cmd_get 7\r\nSTAT");  // In the middle of a line.
  rig.node_close(1);
  rig.turn();
  CHECK(told(rig, 1).empty());
  rig.advance(1500);  // The third never answers.
  const std::string stats = told(rig, 1);
  CHECK(value_of(stats, "cmd_get") == "12");
  CHECK(value_of(stats, "curr_connections") == "1");
  CHECK(value_of(stats, "nodes_missing") == "2");
  CHECK(stats.ends_with("END\r\nMN\r\n"));
  // Its late answer goes nowhere, and leaves the link in step.
  say(rig, 2, "STAT cmd_get 100\r\nEND\r\nMN\r\n");
  CHECK(told(rig, 1).empty());
  CHECK(rig.counted(Counter::kOutOfStep) == 0);
  CHECK(rig.engine().slot_count() == 0);
}

TEST_CASE("stats answered by no node are ours alone, and an asker may leave") {
  Rig rig({.nodes = 1});
  ask(rig, 2, "stats\r\n");
  rig.client_close(2);
  say(rig, 0, "STAT cmd_get 5\r\nEND\r\nMN\r\n");
  CHECK(rig.engine().slot_count() == 0);
  take_down(rig, 0);
  ask(rig, 1, "stats\r\n");
  const std::string stats = told(rig, 1);
  CHECK(value_of(stats, "cmd_get").empty());
  CHECK(value_of(stats, "threads") == "1");
  CHECK(value_of(stats, "nodes_missing") == "1");
}

TEST_CASE("a node that refuses stats is missing too, and one that answers is not") {
  Rig rig({.nodes = 2});
  ask(rig, 1, "stats\r\n");
  say(rig, 0, "ERROR\r\nMN\r\n");
  say(rig, 1, "STAT cmd_get 5\r\nEND\r\nMN\r\n");
  CHECK(value_of(told(rig, 1), "nodes_missing") == "1");
  ask(rig, 1, "stats\r\n");
  for (unsigned node = 0; node < 2; ++node) say(rig, node, "STAT cmd_get 5\r\nEND\r\nMN\r\n");
  CHECK(value_of(told(rig, 1), "nodes_missing") == "0");
}

TEST_CASE("a client that asks for nothing is closed after idle_timeout, one that waits is not") {
  Rig rig({.nodes = 1, .pool = {.request_timeout_ms = 60'000}, .limits = {.idle_timeout_s = 3}});
  ask(rig, 1, "version\r\n");
  ask(rig, 2, "get a\r\n");
  for (int second = 0; second < 8; ++second) {
    ask(rig, 3, "version\r\n");
    rig.advance(1000);
  }
  CHECK(rig.client(1).gone);
  CHECK(!rig.client(2).gone);
  CHECK(!rig.client(3).gone);
  CHECK(rig.counted(Counter::kIdleKicks) == 1);
}

TEST_CASE("a client that takes too long to send a request is closed, however it trickles") {
  Rig rig({.nodes = 1, .limits = {.request_read_timeout_s = 2}});
  ask(rig, 1, "set a 0 0 100\r\n");
  ask(rig, 2, "get");
  for (int second = 0; second < 5; ++second) {
    if (!rig.client(1).gone) ask(rig, 1, "x");
    ask(rig, 3, "set b 0 0 2\r\nxx\r\n");  // Many quick ones are no slow one.
    rig.advance(1000);
  }
  CHECK(rig.client(1).gone);
  CHECK(rig.client(2).gone);
  CHECK(!rig.client(3).gone);
  CHECK(rig.counted(Counter::kSlowReadKicks) == 2);
}

TEST_CASE("a client that takes no reply is closed, but not while nothing is owed to it") {
  Rig rig({.nodes = 1, .limits = {.reply_write_timeout_s = 2}});
  rig.client(1).reads = false;
  rig.client(2).reads = false;
  ask(rig, 1, "version\r\n");
  static_cast<void>(rig.client(2));
  rig.advance(5000);
  CHECK(rig.client(1).gone);
  CHECK(!rig.client(2).gone);
  CHECK(rig.counted(Counter::kSlowWriteKicks) == 1);
  CHECK(rig.engine().client_count() == 1);
}

TEST_CASE("a client that begins in another protocol is closed, however it comes") {
  const std::string binary("\x80\x0B\0\0\0\0\0\0", 8);
  const std::string tls("\x16\x03\x01\x02\0\x01", 6);
  Rig rig({.nodes = 1});
  unsigned client = 0;
  for (const std::string& begin :
       {binary, tls, binary + "\n", tls + "\r\n", binary + std::string(3000, 'x')}) {
    CAPTURE(client);
    ask(rig, ++client, begin);
    CHECK(rig.client(client).gone);
    CHECK(told(rig, client).empty());
    ++client;
    for (std::size_t i = 0; i < begin.size() && !rig.client(client).gone; ++i)
      ask(rig, client, begin.substr(i, 1));
    CHECK(rig.client(client).gone);
    CHECK(told(rig, client).empty());
  }
  // Behind a request it is another one, which nobody knows.
  ask(rig, ++client, "mn\r\n" + binary + "\r\n");
  CHECK(told(rig, client) == "MN\r\nERROR\r\n");
}

TEST_CASE("requests beyond what a worker may have in flight get an error at once") {
  Rig rig({.nodes = 1, .limits = {.in_flight_per_worker_max = 2}});
  ask(rig, 1, "delete a\r\ndelete b\r\ndelete c\r\n");
  const std::string sent = heard(rig, 0);
  CHECK(sent.find("md c") == std::string::npos);
  CHECK(rig.counted(Counter::kRequestsRefused) == 1);
  say(rig, 0, "HD" + sent.substr(4, 6) + "\r\n");
  say(rig, 0, "HD" + sent.substr(sent.rfind(" O"), 6) + "\r\n");
  CHECK(told(rig, 1) == "DELETED\r\nDELETED\r\nSERVER_ERROR too many requests in flight\r\n");
}

TEST_CASE("with too many requests out clients wait, then are refused, and nothing runs out") {
  Rig rig({.nodes = 1, .requests_max = 64});
  std::string many = "get";
  for (int i = 0; i < 2000; ++i) many += " a";
  for (unsigned i = 0; i < 40; ++i) rig.client_send(i, "delete a\r\n" + many + "\r\nmg b v\r\n");
  rig.turn();
  CHECK(rig.engine().slot_count() >= 128);
  CHECK(rig.engine().slot_count() <= 128 + 2002);
  CHECK(rig.counted(Counter::kRequestsRefused) > 0);
  rig.node(0).refuses = true;
  rig.node_close(0);
  rig.advance(20);
  for (unsigned i = 0; i < 40; ++i) {
    const std::string all = told(rig, i);
    CHECK(all.starts_with("SERVER_ERROR "));
    CHECK(all.substr(all.find('\n') + 1) == "END\r\nEN\r\n");
  }
  CHECK(rig.engine().slot_count() == 0);
}

TEST_CASE("gets that share a request take as long as they waited, and no longer") {
  Rig rig({.nodes = 1, .coalesce = true});
  ask(rig, 1, "get a\r\n");
  rig.advance(20);
  ask(rig, 2, "get a\r\n");
  rig.advance(20);
  say(rig, 0, "END\r\nMN\r\n");
  rig.engine().end_turn(rig.now());
  CHECK(rig.counted(Counter::kCoalesced) == 1);
  const LatencyHistogram& gets =
      rig.board().latencies[0].total[static_cast<std::size_t>(LatencyKind::kGet)];
  CHECK(gets.sum_ns() == 60'000'000);
}

TEST_CASE("a client may have few requests out at first, and one more with each reply") {
  Rig rig({.nodes = 1, .limits = {.requests_per_client_max = 100}});
  std::string gets;
  for (int i = 0; i < 1000; ++i) gets += "mg a v\r\n";
  ask(rig, 1, gets);
  std::size_t out = 0;
  std::string sent;
  const auto answer = [&](std::size_t count) {
    std::string replies;
    for (std::size_t i = 0; i < count; ++i) {
      replies += "VA 1" + sent.substr(sent.find(" O"), 6) + "\r\nx\r\n";
      sent.erase(0, sent.find('\n') + 1);
    }
    out -= count;
    say(rig, 0, replies);
  };
  const auto taken = [&] {
    const std::string more = heard(rig, 0);
    out += static_cast<std::size_t>(std::count(more.begin(), more.end(), '\n'));
    sent += more;
    return out;
  };
  CHECK(taken() == 64);
  answer(1);
  CHECK(taken() == 65);
  answer(5);
  CHECK(taken() == 70);
  answer(70);
  CHECK(taken() == 100);
  answer(100);
  CHECK(taken() == 100);
}

TEST_CASE("replies before their turn wait, many or few, and leave no memory behind") {
  Rig rig({.nodes = 2});
  const std::string late = rig.key_on("a", 0);
  const std::string early = rig.key_on("b", 1);
  const std::string value = std::string(1000, 'v') + "\r\n";
  for (const std::size_t count : {std::size_t{3}, std::size_t{200}}) {
    const std::size_t lent = rig.engine().pool().bytes_lent();
    std::string line = "get " + late;
    std::string values;
    for (std::size_t i = 0; i < count; ++i) {
      line += " " + early;
      values += "VALUE " + early + " 0 1000\r\n" + value;
    }
    ask(rig, 1, line + "\r\n");
    say(rig, 1, values + "END\r\nMN\r\n");
    CHECK(told(rig, 1).empty());
    CHECK(rig.engine().pool().bytes_lent() > lent);
    const std::string first = "VALUE " + late + " 0 1\r\nx\r\n";
    say(rig, 0, first + "END\r\nMN\r\n");
    CHECK(told(rig, 1) == first + values + "END\r\n");
    CHECK(rig.engine().pool().bytes_lent() == lent);
  }
}

TEST_CASE("behind a large value a link is read into a buffer of its own, until a small one comes") {
  Rig rig({});
  const auto has_own_buffer = [&] {
    return rig.engine().link_space(rig.node(0).link).size() != Engine::kScratchBytes;
  };
  const auto answered_with = [&](const std::string& values) {
    ask(rig, 1, "get a\r\n");
    say(rig, 0, values + "END\r\nMN\r\n");
    CHECK(told(rig, 1) == values + "END\r\n");
  };
  CHECK_FALSE(has_own_buffer());
  answered_with("VALUE a 0 20000\r\n" + std::string(20'000, 'v') + "\r\n");
  CHECK(has_own_buffer());
  answered_with("");
  CHECK(has_own_buffer());
  answered_with("VALUE a 0 1\r\nv\r\n");
  CHECK_FALSE(has_own_buffer());
}
