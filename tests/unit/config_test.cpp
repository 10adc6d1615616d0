// Good configurations, the shipped ones and what becomes of them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>

#include "app/address.hpp"
#include "app/config.hpp"
#include "app/material.hpp"
#include "app/quantity.hpp"
#include "app/seal_material.hpp"

using namespace tokenring;

namespace {

const std::filesystem::path kConf = TOKENRING_CONF_DIR;

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Config parsed(std::string_view text) {
  Result<Config, std::string> config = parse_config(text, "test.toml");
  if (!config) FAIL(config.error());
  return *std::move(config);
}

// Every setting that a configuration comes to, a line each.
std::string described(const Config& config) {
  std::string text = fmt::format(
      "listen {}\nworkers {}\nclients_max {}\nlimits {} {} {} {}\ncoalesce {}\ndrain {}\nlog {}\n"
      "memory {}\n",
      fmt::join(config.listen, ","), config.workers, config.clients_max,
      config.limits.value_bytes_max, config.limits.requests_per_client_max,
      config.limits.pending_per_backend_max, config.limits.output_bytes_per_client_max,
      config.coalesce_max_us, config.drain_timeout_ms, name_of(config.log_level),
      config.embedded_memory_bytes);
  for (const PoolConfig& pool : config.pools) {
    const auto ring = Ring::make(pool.nodes, pool.ring);
    REQUIRE(ring.has_value());
    text +=
        fmt::format("pool {} {} {} tag {} seed {} links {} connect {} request {} errors {}\n",
                    pool.name, name_of(pool.ring.placement),
                    pool.ring.hash ? name_of(*pool.ring.hash) : "-", ring->hash_tag(),
                    pool.ring.seed, pool.options.links_per_node, pool.options.connect_timeout_ms,
                    pool.options.request_timeout_ms, pool.options.on_failure == OnFailure::kError);
    for (const NodeSpec& node : pool.nodes)
      text += fmt::format("node {} {} {}\n", node.address, node.name, node.weight);
  }
  for (const NamespaceConfig& space : config.namespaces) {
    text += fmt::format("namespace {} {} {} {} {}\n", space.prefix, space.pool,
                        space.life.ttl_cap_s, space.life.ttl_default_s, space.life.ttl_jitter);
  }
  return text;
}

}  // namespace

TEST_CASE("an empty file is the default configuration") {
  CHECK(described(parsed("")) == described(default_config()));
  CHECK(described(parsed("# nothing\n[limits]\n[embedded]\n[pools]\n")) ==
        described(default_config()));
}

TEST_CASE("conf/tokenring.toml gives each setting its default") {
  CHECK(described(parsed(text_of(kConf / "tokenring.toml"))) == described(default_config()));
}

TEST_CASE("conf/tokenring.toml mentions every key that the parser knows") {
  const std::string text = text_of(kConf / "tokenring.toml");
  for (const std::string& key : known_keys()) {
    const std::string name = key.substr(key.rfind('.') + 1);
    CAPTURE(key);
    CHECK(std::regex_search(text, std::regex("\\b" + name + "\\b")));
  }
  CHECK(known_keys().size() == 139);
}

TEST_CASE("conf/tokenring.toml names every placement and hash") {
  const std::string text = text_of(kConf / "tokenring.toml");
  const std::string names = placement_names() + ", " + key_hash_names();
  const std::regex word("[^, ]+");
  for (std::sregex_iterator it(names.begin(), names.end(), word), end; it != end; ++it) {
    CAPTURE(it->str());
    CHECK(std::regex_search(text, std::regex("\\b" + it->str() + "\\b")));
  }
}

TEST_CASE("what conf/tokenring.toml shows in comments can be taken out of them") {
  const std::string text = text_of(kConf / "tokenring.toml");
  const Config config = parsed(std::regex_replace(text, std::regex("\n#(?=[a-z\\[])"), "\n"));
  REQUIRE(config.namespaces.size() == 1);
  CHECK(config.namespaces[0].life.ttl_jitter == 0.1);
  CHECK(config.pools[0].ring.hash == KeyHash::kXxh3);
}

TEST_CASE("an address of listen may be a table that says more") {
  const Config config =
      parsed(R"(listen = ["127.0.0.1:1", { address = "127.0.0.1:2", identify = true },
                { address = "127.0.0.1:3" }]
[[identities]]
name = "a"
uid = 1)");
  CHECK(config.listen == std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"});
  REQUIRE(config.listen_options.size() == 1);
  CHECK(config.listen_options.at("127.0.0.1:2").identify);
  CHECK(parsed(R"(listen = { address = "127.0.0.1:2" })").listen_options.empty());
}

TEST_CASE("every example is sound and has a default namespace") {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kConf / "examples")) {
    CAPTURE(entry.path().string());
    const auto config = read_config(entry.path().string());
    if (!config) FAIL(config.error());
    const auto snapshot = make_snapshot(*config, {}, {});
    if (!snapshot) FAIL(snapshot.error());
    CHECK((*snapshot)->namespaces.find("a key of nobody") != nullptr);
    ++count;
  }
  CHECK(count == 5);
}

TEST_CASE("a gutter serves no keys of its own, and who stands in lets a node be flushed") {
  const Config config = parsed(R"([pools.main]
nodes = ["10.0.0.1:11211"]
on_node_down = "gutter"
gutter = "spare"
[pools.spare]
nodes = ["10.0.0.2:11211"])");
  const auto snapshot = make_snapshot(config, {}, {});
  REQUIRE(snapshot.has_value());
  const Namespace* space = (*snapshot)->namespaces.find("any");
  REQUIRE(space != nullptr);
  CHECK((*snapshot)->pools[space->pool].name == "main");
  const PoolOptions& options = (*snapshot)->pools[space->pool].options;
  CHECK((*snapshot)->pools[options.gutter].name == "spare");
  CHECK(options.on_rejoin == OnRejoin::kFlush);
}

TEST_CASE("one pool and nothing else serves every key") {
  const Config config = parsed("[pools.main]\nnodes = [\"10.0.0.1:11211\", \"10.0.0.2:11211\"]\n");
  const auto snapshot = make_snapshot(config, {}, {});
  REQUIRE(snapshot.has_value());
  REQUIRE((*snapshot)->pools.size() == 1);
  CHECK((*snapshot)->backend_count() == 2);
  const Namespace* space = (*snapshot)->namespaces.find("anything");
  REQUIRE(space != nullptr);
  CHECK(space->prefix.empty());
  CHECK_FALSE(space->life.any());
}

TEST_CASE("every key is read into its place") {
  const Config config = parsed(R"(
listen = ["127.0.0.1:11311", "[::1]:2", "unix:/run/t.sock", "localhost:1"]
workers = 3
coalesce_max = "0us"
drain_timeout = 5
log_level = "warn"
limits = { value_bytes_max = 2048, requests_per_client_max = 7, pending_per_backend_max = 8 }
embedded.memory = "128MiB"
[pools.z]
nodes = ["a:1", { address = "unix:/b", weight = 3, name = "bee" }]
placement = "mcproxy-ring"
hash = "xxh3"
hash_tag = "<>"
seed = "salt"
links_per_node = 2
connect_timeout = "1s"
request_timeout = "20ms"
on_failure = "error"
[pools.a]
nodes = "embedded"
[[namespaces]]
prefix = "x:"
pool = "a"
ttl_cap = "15m"
ttl_default = 30
ttl_jitter = 1
)");
  CHECK(described(config) ==
        "listen 127.0.0.1:11311,[::1]:2,unix:/run/t.sock,localhost:1\n"
        "workers 3\nclients_max 65536\nlimits 2048 7 8 4194304\ncoalesce 0\ndrain 5000\nlog warn\n"
        "memory 134217728\n"
        "pool z mcproxy-ring xxh3 tag <> seed salt links 2 connect 1000 request 20 errors true\n"
        "node a:1  1\nnode unix:/b bee 3\n"
        "pool a ketama - tag {} seed  links 1 connect 500 request 1000 errors false\n"
        "node embedded  1\n"
        "namespace x: a 900 30 1\n");
}

TEST_CASE("a snapshot numbers pools and backends in the order of the file") {
  const Config config = parsed(R"(
[limits]
clients_max = 100
[pools.z]
nodes = ["a:1", "b:1"]
[pools.a]
nodes = ["c:1", "a:1", "d:1"]
[[namespaces]]
prefix = "z:"
pool = "z"
[[namespaces]]
prefix = "a:"
pool = "a"
)");
  Config with_workers = config;
  with_workers.workers = 4;
  const auto snapshot = make_snapshot(with_workers, {}, {});
  REQUIRE(snapshot.has_value());
  const Snapshot& all = **snapshot;
  REQUIRE(all.pools.size() == 2);
  CHECK(all.pools[0].name == "z");
  CHECK(all.pools[1].first_backend == 2);
  CHECK(all.backend_count() == 5);
  CHECK(all.namespaces.find("a:1")->pool == 1);
  CHECK(all.namespaces.find("z:1")->pool == 0);
  CHECK(all.namespaces.find("b:1") == nullptr);
  CHECK(all.limits.clients_per_worker_max == 25);
}

TEST_CASE("hash tags hold where the mode that is reproduced has them") {
  const auto tag_of = [](std::string_view lines) {
    const auto snapshot = make_snapshot(
        parsed(fmt::format("[pools.p]\nnodes = [\"a:1\", \"b:1\"]\n{}", lines)), {}, {});
    REQUIRE(snapshot.has_value());
    return std::string((*snapshot)->pools[0].ring.hash_tag());
  };
  CHECK(tag_of("") == "{}");
  CHECK(tag_of("hash_tag = \"\"") == "");
  CHECK(tag_of("placement = \"twemproxy\"") == "");
  CHECK(tag_of("placement = \"twemproxy\"\nhash_tag = \"{}\"") == "{}");
}

TEST_CASE("a deadline is a time of TOML or a string, and one that is over is a warning") {
  const auto config_with = [](std::string_view time) {
    const std::string_view text =
        "[keys]\nfile = \"k\"\n[[namespaces]]\nprefix = \"a:\"\nseal = \"migrate\"\n"
        "seal_until = ";
    return parsed(fmt::format("{}{}\n", text, time));
  };
  for (const char* time : {"2026-09-21T14:13:20Z", "\"2026-09-21T14:13:20Z\"",
                           "2026-09-21T16:43:20.5+02:30", "2026-09-21 04:13:20-10:00"}) {
    CAPTURE(time);
    CHECK(config_with(time).namespaces.at(0).seal.migrate_until == UnixTime{1'790'000'000});
  }
  const Config config = config_with("2026-09-21T14:13:20Z");
  CHECK(warnings(config, nullptr, {1'789'999'999}).empty());
  CHECK(warnings(config, nullptr, {1'790'000'000}) ==
        std::vector<std::string>{
            "test.toml:6:14: namespaces[0].seal_until: is over: what is not sealed is a miss; give "
            "seal = \"require\", or a later time"});
}

TEST_CASE("what cannot be read is told with its place in the file") {
  const auto error_of = [](const std::string& text) {
    const auto material = read_seal_material(parsed(text));
    return material ? "no error" : material.error();
  };
  CHECK(error_of("[keys]\nfile = \"/nowhere/keys\"\n") ==
        "test.toml:2:8: keys.file: /nowhere/keys: cannot read: No such file or directory");
  CHECK(error_of("[keys]\ncommand = [\"/nowhere/unwrap\"]\n") ==
        "test.toml:2:11: keys.command: key command /nowhere/unwrap: cannot start: No such file or "
        "directory");
  CHECK(error_of("[keys]\ncredential = \"../k\"\n") ==
        "test.toml:2:14: keys.credential: a credential is a name without a path");
  CHECK(error_of("[keys]\ncommand = [\"/bin/echo\", \"tokenring-keys 2\"]\n")
            .starts_with("test.toml:2:11: keys.command: key command /bin/echo:1: no key file"));
}

TEST_CASE("files that are named are told with their place, whoever reads them") {
  const auto error_of = [](const std::string& text) {
    MaterialPast past;
    const auto material = read_material(parsed(text), past);
    return material ? "no error" : material.error();
  };
  const std::string missing = "/nowhere/it: cannot read: No such file or directory";
  CHECK(error_of("listen = { address = \"127.0.0.1:1\", identify = true }\n"
                 "[auth]\nfile = \"/nowhere/it\"\n[[identities]]\nname = \"a\"\n") ==
        "test.toml:3:8: auth.file: " + missing);
  CHECK(error_of("[admin]\nlisten = 1\ntoken_file = \"/nowhere/it\"\n") ==
        "test.toml:3:14: admin.token_file: " + missing);
  const std::string asks = "[introspection.a]\nurl = \"https://a.example/\"\nclient_id = \"c\"\n";
  CHECK(error_of(asks + "client_secret_file = \"/nowhere/it\"\n") ==
        "test.toml:4:22: introspection.a.client_secret_file: " + missing);
  CHECK(error_of(
            "[introspection.a]\nurl = \"https://a.example/\"\nbearer_file = \"/nowhere/it\"\n") ==
        "test.toml:3:15: introspection.a.bearer_file: " + missing);
}

TEST_CASE("tokens may go to this host in plain text, and to no other") {
  const auto error_of = [](const std::string& url) {
    const auto config = parse_config(
        "[introspection.a]\nurl = \"" + url + "\"\nbearer_file = \"f\"\n", "test.toml");
    return config ? std::string() : config.error();
  };
  for (const char* const url :
       {"http://localhost/i", "http://localhost:8080/i?a=b", "http://localhost",
        "http://127.0.0.1/i", "http://127.1.2.3:80", "http://[::1]/i", "http://[::1]:80",
        "https://as.example/i", "https://127.evil.example/", "https://[2001:db8::1]:1/i"}) {
    CAPTURE(url);
    CHECK(error_of(url).empty());
  }
  for (const char* const url :
       {"http://as.example/i", "http://127.evil.example/i", "http://127.0.0.1.evil.example/i",
        "http://127.0.0.1x/", "http://localhost.evil.example/", "http://[::2]/", "http://[::1]x/",
        "http://as.example/]localhost"}) {
    CAPTURE(url);
    CHECK(error_of(url).find("in plain text to another host") != std::string::npos);
  }
  for (const char* const url :
       {"http://", "https://", "https:///i", "ftp://localhost/", "http://[::1"}) {
    CAPTURE(url);
    CHECK(error_of(url).find("is none; give a URL") != std::string::npos);
  }
}

TEST_CASE("workers default to the CPUs") {
  Config config = default_config();
  CHECK(worker_count(config) >= 1);
  CHECK(worker_count(config) <= Config::kWorkersMax);
  config.workers = 5;
  CHECK(worker_count(config) == 5);
}

TEST_CASE("sizes and durations are written as they are read") {
  for (const std::string_view text : {"0B", "1B", "1023B", "1KiB", "1536B", "64MiB", "3GiB"}) {
    CAPTURE(text);
    const auto bytes = parse_bytes(text);
    REQUIRE(bytes.has_value());
    CHECK(bytes_text(*bytes) == text);
  }
  for (const std::string_view text : {"1us", "1500us", "500ms", "90s", "15m", "12h", "7d", "0s"}) {
    CAPTURE(text);
    const auto us = parse_duration_us(text);
    REQUIRE(us.has_value());
    CHECK(duration_text(*us) == text);
  }
  for (const std::string_view text :
       {"", "s", "5", "-5s", "+5s", "5 s", "5S", "1.5s", "5s ", "99999999999999999999s",
        "9223372036854775807d", "-0s", "0x1s"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration_us(text).has_value());
    CHECK_FALSE(parse_bytes(text).has_value());
  }
}

TEST_CASE("what an address lacks is told") {
  const auto error_of = [](std::string_view text) { return parse_listen_address(text).error(); };
  CHECK(error_of("host") == "\"host\" has no port; give \"host:11211\"");
  CHECK(error_of("11211") == "\"11211\" has no host; give \"127.0.0.1:11211\"");
  CHECK(parse_node_address("11211").error() == "\"11211\" has no host; give \"127.0.0.1:11211\"");
  for (const std::string_view text : {"0", "65536", "1.2", "1.2.3.4.5:1"})
    CHECK(error_of(text).find("is not an IPv4 address; give four numbers") != std::string::npos);
}

TEST_CASE("addresses are taken apart") {
  const auto tcp = parse_node_address("[fe80::1%eth0]:11212");
  REQUIRE(tcp.has_value());
  CHECK(tcp->kind == Address::Kind::kTcp);
  CHECK(tcp->host == "fe80::1%eth0");
  CHECK(tcp->port == 11212);
  CHECK(parse_node_address("cache_a.internal:1")->host == "cache_a.internal");
  CHECK(parse_node_address("unix:/run/a b.sock")->path == "/run/a b.sock");
  CHECK(parse_node_address("embedded")->kind == Address::Kind::kEmbedded);
  CHECK(parse_listen_address("0.0.0.0:65535")->port == 65535);
  CHECK_FALSE(parse_listen_address("0.0.0.0:0").has_value());
  CHECK_FALSE(parse_listen_address("embedded").has_value());
  CHECK(parse_listen_address("unix:/" + std::string(106, 'x')).has_value());
  for (const std::string& text :
       {std::string("a:0"), std::string("a:"), std::string(":1"), std::string("a b:1"),
        std::string("a:1 "), std::string("a:+1"), std::string("a:65536"), std::string("[]:1"),
        std::string("[a]:1"), std::string("[::1"), std::string("]:1"), std::string("[::1%]:1"),
        std::string("1.2.3:1"), std::string("unix:"), std::string("unix:/a\n"), std::string("-a:1"),
        "unix:/" + std::string(107, 'x'), std::string(254, 'x') + ":1", std::string("a\0:1", 4)}) {
    CAPTURE(text);
    CHECK_FALSE(parse_node_address(text).has_value());
  }
}
