// What becomes of nodes that are names.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "app/config.hpp"
#include "app/names.hpp"
#include "app/seal_material.hpp"
#include "io/resolver.hpp"

using namespace tokenring;

namespace {

using Found = Result<std::vector<std::string>, std::string>;
using Words = std::vector<std::string>;

constexpr Instant kStart{1'000'000'000};

Found found(Words addresses) {
  return addresses;
}
Found missing() {
  return unexpected(std::string("no such name"));
}

Config config_of(std::string_view text) {
  auto config = parse_config(text, "t.toml");
  if (!config) FAIL(config.error());
  return *std::move(config);
}

// The nodes of the first pool, and where each is reached.
std::vector<std::pair<std::string, std::string>> nodes_of(const Config& config,
                                                          const Names& names) {
  const auto snapshot = make_snapshot(config, names, {});
  if (!snapshot) FAIL(snapshot.error());
  std::vector<std::pair<std::string, std::string>> nodes;
  const Pool& pool = (*snapshot)->pools[0];
  for (std::size_t i = 0; i < pool.nodes.size(); ++i)
    nodes.emplace_back(pool.nodes[i].address, std::string(pool.place_of(i)));
  return nodes;
}

}  // namespace

TEST_CASE("only names are looked up, each when its time has come") {
  NameBook book;
  book.use(config_of("[pools.p]\nresolve_every = \"20s\"\nnodes = [\"10.0.0.1:1\", \"[::1]:1\", "
                     "\"unix:/n\", \"embedded\", \"b.test:1\", \"a.test:1\"]\n"),
           kStart);
  CHECK_FALSE(book.all_answered());
  CHECK(book.take_due(kStart) == Words{"a.test:1", "b.test:1"});
  CHECK(book.take_due(kStart).empty());
  CHECK(book.answer("a.test:1", found({"10.0.0.2:1"}), kStart).changed);
  CHECK(book.answer("b.test:1", missing(), kStart).is_problem);
  CHECK(book.all_answered());
  CHECK(book.take_due(kStart.plus_ms(NameBook::kRetryMs)) == Words{"b.test:1"});
  CHECK(book.take_due(kStart.plus_ms(20'000)) == Words{"a.test:1", "b.test:1"});
}

TEST_CASE("a node stays where it is while its name leads there") {
  const Config config = config_of("[pools.p]\nnodes = \"a.test:1\"\n");
  NameBook book;
  book.use(config, kStart);
  CHECK(nodes_of(config, book.names()) ==
        std::vector<std::pair<std::string, std::string>>{{"a.test:1", "a.test:1"}});
  const auto first = book.answer("a.test:1", found({"10.0.0.9:1", "10.0.0.2:1"}), kStart);
  CHECK(first.changed);
  CHECK(first.line == "a.test:1 is 10.0.0.2:1, 10.0.0.9:1");
  CHECK(nodes_of(config, book.names())[0].second == "10.0.0.9:1");
  CHECK_FALSE(book.answer("a.test:1", found({"10.0.0.2:1", "10.0.0.9:1"}), kStart).changed);
  CHECK(nodes_of(config, book.names())[0].second == "10.0.0.9:1");
  CHECK(book.answer("a.test:1", found({"10.0.0.3:1"}), kStart).changed);
  CHECK(nodes_of(config, book.names())[0].second == "10.0.0.3:1");
}

TEST_CASE("a name that is lost keeps its addresses, and is told once") {
  const Config config = config_of("[pools.p]\nnodes = \"a.test:1\"\n");
  NameBook book;
  book.use(config, kStart);
  static_cast<void>(book.answer("a.test:1", found({"10.0.0.2:1"}), kStart));
  const auto lost = book.answer("a.test:1", missing(), kStart);
  CHECK_FALSE(lost.changed);
  CHECK(lost.line == "a.test:1 cannot be looked up: no such name; its last addresses stay in use");
  CHECK(book.answer("a.test:1", missing(), kStart).line.empty());
  CHECK(nodes_of(config, book.names())[0].second == "10.0.0.2:1");
  const auto back = book.answer("a.test:1", found({"10.0.0.2:1"}), kStart);
  CHECK_FALSE(back.changed);
  CHECK(back.line == "a.test:1 is 10.0.0.2:1");
}

TEST_CASE("a node that fails is looked up again and tried at its other address") {
  const Config config = config_of("[pools.p]\nnodes = [\"a.test:1\", \"b.test:1\"]\n");
  NameBook book;
  book.use(config, kStart);
  static_cast<void>(book.take_due(kStart));
  static_cast<void>(book.answer("a.test:1", found({"10.0.0.2:1", "10.0.0.3:1"}), kStart));
  static_cast<void>(book.answer("b.test:1", found({"10.0.0.4:1"}), kStart));
  CHECK_FALSE(book.failed("10.0.0.77:1", kStart).changed);
  CHECK(book.take_due(kStart).empty());

  CHECK(book.failed("10.0.0.2:1", kStart).changed);
  CHECK_FALSE(book.failed("10.0.0.4:1", kStart).changed);
  CHECK(book.take_due(kStart) == Words{"a.test:1", "b.test:1"});
  CHECK(nodes_of(config, book.names())[0].second == "10.0.0.3:1");

  CHECK_FALSE(book.failed("10.0.0.3:1", kStart).changed);  // Too soon.
  CHECK(book.take_due(kStart).empty());
  CHECK(book.failed("10.0.0.3:1", kStart.plus_ms(NameBook::kRetryMs)).changed);
  CHECK(nodes_of(config, book.names())[0].second == "10.0.0.2:1");
}

TEST_CASE("an expanded name is all of its addresses") {
  const Config config = config_of(
      "[pools.p]\nnodes = [\"10.0.0.3:1\", { address = \"a.test:1\", weight = 2, expand = true }]\n"
      "placement = \"spymemcached\"\n");
  NameBook book;
  book.use(config, kStart);
  using Nodes = std::vector<std::pair<std::string, std::string>>;
  CHECK(nodes_of(config, book.names()) ==
        Nodes{{"10.0.0.3:1", "10.0.0.3:1"}, {"a.test:1", "a.test:1"}});
  CHECK(book.answer("a.test:1", found({"[::1]:1", "10.0.0.4:1", "10.0.0.3:1"}), kStart).changed);
  CHECK(nodes_of(config, book.names()) ==
        Nodes{{"10.0.0.3:1", "10.0.0.3:1"}, {"10.0.0.4:1", "10.0.0.4:1"}, {"[::1]:1", "[::1]:1"}});
  const auto snapshot = make_snapshot(config, book.names(), {});
  CHECK((*snapshot)->pools[0].nodes[1].weight == 2);
}

TEST_CASE("names that are not in use any more are forgotten, others keep what is known") {
  NameBook book;
  book.use(config_of("[pools.p]\nnodes = [\"a.test:1\", \"b.test:1\"]\n"), kStart);
  for (const char* name : {"a.test:1", "b.test:1"})
    static_cast<void>(book.answer(name, found({"10.0.0.1:1"}), kStart));
  book.use(config_of("[pools.p]\nnodes = [\"b.test:1\", \"c.test:1\"]\n"), kStart);
  CHECK_FALSE(book.all_answered());
  CHECK(book.take_due(kStart) == Words{"c.test:1"});
  CHECK_FALSE(book.answer("a.test:1", found({"10.0.0.5:1"}), kStart).changed);
  CHECK(book.names().size() == 1);
  CHECK(book.names().contains("b.test:1"));
}

TEST_CASE("expand wants a name") {
  const auto error = [](std::string_view nodes) {
    const auto config = parse_config("[pools.p]\nnodes = [" + std::string(nodes) + "]\n", "t.toml");
    return config ? std::string("no error") : config.error();
  };
  CHECK(error(R"({ address = "a.test:1", expand = true })") == "no error");
  CHECK(error(R"({ address = "10.0.0.1:1", expand = false })") == "no error");
  CHECK(error(R"({ address = "10.0.0.1:1", expand = true })") ==
        "t.toml:2:10: pools.p.nodes[0]: \"10.0.0.1:1\" is no DNS name, so there is nothing to "
        "expand; leave expand out");
  CHECK(error(R"({ address = "unix:/a", expand = true })").find("no DNS name") !=
        std::string::npos);
  CHECK(error(R"({ address = "a.test:1", name = "x", expand = true })").find("leave name out") !=
        std::string::npos);
  CHECK(error(R"({ address = "a.test:1", expand = 1 })").find("true or false") !=
        std::string::npos);
}

TEST_CASE("the system's resolver gives numeric addresses with the port") {
  CHECK(*look_up("127.0.0.1:11211") == Words{"127.0.0.1:11211"});
  const auto local = look_up("localhost:7");
  REQUIRE(local.has_value());
  for (const std::string& address : *local)
    CHECK((address == "127.0.0.1:7" || address == "[::1]:7"));
  CHECK_FALSE(look_up("no-such-host.invalid:7").has_value());
}

TEST_CASE("failed places are kept once each until they are taken") {
  FailedPlaces places;
  for (const char* place : {"a", "b", "a"}) places.add(place);
  CHECK(places.take() == Words{"a", "b"});
  CHECK(places.take().empty());
}
