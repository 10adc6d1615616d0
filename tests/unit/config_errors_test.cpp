// Bad configurations: each has one line that says where, what is wrong and what would be right.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "app/config.hpp"

using namespace tokenring;

namespace {

struct Bad {
  std::string_view text;
  std::string_view line;  // Without the name of the file.
};

// The error, or what tells that there is none.
std::string error_of(std::string_view text) {
  const auto config = parse_config(text, "t.toml");
  return config ? "no error" : config.error();
}

// clang-format off
constexpr Bad kBad[] = {
    {R"([[namespaces]]
prefix = "a:"
ttl_from_token = "yes")",
     R"(3:18: namespaces[0].ttl_from_token: "yes" is unknown; give true, false or "strict")"},
    {R"([[namespaces]]
prefix = "a:"
ttl_from_token = 1)",
     R"(3:18: namespaces[0].ttl_from_token: is an integer; give true, false or "strict")"},
    {R"([[namespaces]]
prefix = "a:"
seal = true)",
     R"(3:8: namespaces[0].seal: is a boolean; give one of "off", "migrate", "require")"},
    {R"([[namespaces]]
prefix = "a:"
seal_until = 2026-12-31T00:00:00)",
     R"(3:14: namespaces[0].seal_until: is a time of no known place; give a time, such as "2026-12-31T00:00:00Z")"},
    {R"([[namespaces]]
prefix = "a:"
seal_until = 2026-12-31)",
     R"(3:14: namespaces[0].seal_until: is a date; give a time, such as "2026-12-31T00:00:00Z")"},
    {R"([[namespaces]]
prefix = "a:"
seal_until = "soon")",
     R"(3:14: namespaces[0].seal_until: "soon" is no time; give a time, such as "2026-12-31T00:00:00Z")"},
    {R"([namespaces]
prefix = "a:"
[namespaces]
prefix = "b:")",
     "3:1: syntax: table header: cannot redefine existing table 'namespaces'; give each namespace under [[namespaces]]"},
    {"listen = ",
     "1:10: syntax: key-value pair: encountered end-of-file"},
    {R"(lisen = "127.0.0.1:1")",
     R"(1:1: lisen: unknown key; did you mean "listen"?)"},
    {"zzz = 1",
     "1:1: zzz: unknown key; the keys here are listen, workers, coalesce_max, drain_timeout, log_level, flush_all, control, limits, embedded, keys, admin, revocation, audit, pools, introspection, namespaces, tls, auth, identities"},
    {R"(control = "127.0.0.1:1")",
     R"(1:11: control: "127.0.0.1:1" is no place for the control socket; give "unix:/path", or "" for none)"},
    {R"(flush_all = ["127.0.0.1:1"])",
     R"(1:13: flush_all: "127.0.0.1:1" is no address of listen; give some of 127.0.0.1:11211)"},
    {R"([[namespaces]]
prefix = "a:"
seal = "require")",
     R"(3:8: namespaces[0].seal: needs keys; give [keys] file = "PATH", made with `tokenring keygen`)"},
    {R"([keys]
file = "k"
[[namespaces]]
prefix = "a:"
seal = "migrate")",
     R"(5:8: namespaces[0].seal: "migrate" needs a deadline; give seal_until = "2026-12-31T00:00:00Z", or so)"},
    {R"([[namespaces]]
prefix = "a:"
max_age = "1h")",
     R"(3:11: namespaces[0].max_age: has no effect without seal = "require" or "migrate")"},
    {R"([keys]
command = ["unwrap"])",
     R"(2:11: keys.command: "unwrap" is no absolute path; give one, for no shell looks it up)"},
    {R"(workers = "2")",
     "1:11: workers: is a string; give an integer from 0 to 256"},
    {"workers = 257",
     "1:11: workers: 257 is out of range; give an integer from 0 to 256"},
    {"workers = 1.5",
     "1:11: workers: is a number with a point; give an integer from 0 to 256"},
    {"listen = []",
     R"(1:10: listen: is empty; give an address such as "127.0.0.1:11211")"},
    {R"(listen = ["127.0.0.1:1", 5])",
     R"(1:26: listen[1]: is an integer; give an address such as "127.0.0.1:11211")"},
    {R"(listen = [{ identify = true }])",
     R"(1:11: listen[0]: has no address; give address = "127.0.0.1:11211")"},
    {R"(listen = [{ address = "127.0.0.1" }])",
     R"(1:23: listen[0].address: "127.0.0.1" has no port; give "127.0.0.1:11211")"},
    {R"(listen = [{ address = "127.0.0.1:1", identify = 1 }])",
     R"(1:49: listen[0].identify: is an integer; give true or false)"},
    {R"(listen = ["127.0.0.1:1", { address = "127.0.0.1:1" }])",
     R"(1:26: listen[1]: "127.0.0.1:1" stands here twice; give each address once)"},
    {R"(listen = "127.0.0.1")",
     R"(1:10: listen: "127.0.0.1" has no port; give "127.0.0.1:11211")"},
    {R"(listen = "::1:11211")",
     R"(1:10: listen: "::1:11211" is not an address; give "host:port", "[v6]:port" or "unix:/path")"},
    {R"(listen = "::1")",
     R"(1:10: listen: "::1" is an IPv6 address without brackets; give "[::1]:11211")"},
    {R"(listen = "[::1]")",
     R"(1:10: listen: "[::1]" has no port; give "[::1]:11211")"},
    {R"(listen = "[::1]x:1")",
     R"(1:10: listen: "[::1]x:1" is not an address; give "host:port", "[v6]:port" or "unix:/path")"},
    {R"(listen = "[::g]:1")",
     R"(1:10: listen: "[::g]:1" is not an address; give "host:port", "[v6]:port" or "unix:/path")"},
    {R"(listen = "127.0.0.1:70000")",
     R"(1:10: listen: "127.0.0.1:70000" has no valid port; give one of 1 to 65535)"},
    {R"(listen = "127.0.0.256:1")",
     R"(1:10: listen: "127.0.0.256" is not an IPv4 address; give four numbers of 0 to 255)"},
    {R"(listen = "unix:run/a.sock")",
     R"(1:10: listen: "unix:run/a.sock" has no absolute path; give "unix:/run/node.sock")"},
    {R"(listen = "embedded")",
     R"(1:10: listen: "embedded" has no port; give "embedded:11211")"},
    {R"(listen = ["a:1", "a:1"])",
     R"(1:18: listen[1]: "a:1" stands here twice; give each address once)"},
    {R"(listen = "")",
     R"(1:10: listen: "" is not an address; give "host:port", "[v6]:port" or "unix:/path")"},
    {R"(listen = { address = "unix:/a", mode = "0888" })",
     R"(1:40: listen.mode: "0888" is no mode of a file; give octal digits such as "0660")"},
    {R"(listen = { address = "unix:/a", mode = "1777" })",
     R"(1:40: listen.mode: "1777" is no mode of a file; give octal digits such as "0660")"},
    {R"(listen = { address = "unix:/a", mode = 660 })",
     R"(1:40: listen.mode: is an integer; give a mode such as "0660")"},
    {R"(listen = { address = "127.0.0.1:1", mode = "0660" })",
     R"(1:44: listen.mode: is for unix:/PATH only; leave it out)"},
    {"[admin]\nlisten = 9150\nmode = \"0660\"",
     R"(3:8: admin.mode: is for unix:/PATH only; leave it out)"},
    {R"(coalesce_max = "20ms")",
     "1:16: coalesce_max: 20ms is out of range; give 0s to 10ms"},
    {R"(coalesce_max = "20 us")",
     R"(1:16: coalesce_max: "20 us" is not a duration; give an integer of seconds, or a string such as "50us", "500ms", "10s", "15m", "12h" or "7d")"},
    {"drain_timeout = true",
     R"(1:17: drain_timeout: is a boolean; give a duration such as "10s", from 0s to 1h)"},
    {R"(drain_timeout = "50us")",
     "1:17: drain_timeout: 50us is too fine; give whole milliseconds"},
    {"drain_timeout = -1",
     "1:17: drain_timeout: -1 is out of range; give 0s to 1h"},
    {"drain_timeout = 9223372036854775807",
     "1:17: drain_timeout: 9223372036854775807 is out of range; give 0s to 1h"},
    {R"(log_level = "warning")",
     R"(1:13: log_level: "warning" is unknown; did you mean "warn"?)"},
    {R"(log_level = "loud")",
     R"(1:13: log_level: "loud" is unknown; give one of debug, info, warn, error)"},
    {"log_level = 3",
     R"(1:13: log_level: is an integer; give one of "debug", "info", "warn", "error")"},
    {"limits = 4",
     "1:10: limits: is an integer; give a table"},
    {R"([limits]
value_bytes_max = "1MB")",
     R"(2:19: limits.value_bytes_max: "1MB" is not a size; give an integer of bytes, or a string such as "64KiB", "1MiB" or "2GiB")"},
    {R"([limits]
value_bytes_max = 100)",
     "2:19: limits.value_bytes_max: 100B is out of range; give 1KiB to 128MiB"},
    {R"([limits]
value_bytes_max = "1GiB")",
     "2:19: limits.value_bytes_max: 1GiB is out of range; give 1KiB to 128MiB"},
    {R"([limits]
clients_per_worker_max = 5)",
     R"(2:1: limits.clients_per_worker_max: unknown key; did you mean "in_flight_per_worker_max"?)"},
    {R"([limits]
clients_max = 0)",
     "2:15: limits.clients_max: 0 is out of range; give an integer from 1 to 16777216"},
    {R"([limits]
value_bytes_max = "64MiB")",
     "2:19: limits.value_bytes_max: 64MiB of embedded.memory is too little for values of up to 64MiB; give it at least 256MiB"},
    {R"([embedded]
memory = "1KiB")",
     "2:10: embedded.memory: 1KiB is out of range; give 1MiB to 32GiB"},
    {R"([embedded]
memory = "2MiB")",
     "2:10: embedded.memory: 2MiB of embedded.memory is too little for values of up to 1MiB; give it at least 4MiB"},
    {R"([pools]
tokens = 4)",
     "2:10: pools.tokens: is an integer; give a table"},
    {R"([pools.tokens]
placement = "ketama")",
     R"(1:1: pools.tokens: has no nodes; give nodes = ["10.0.0.1:11211"], or ["embedded"] for a store inside the proxy)"},
    {R"([pools.tokens]
nodes = [])",
     R"(2:9: pools.tokens.nodes: is empty; give at least one node, such as "10.0.0.1:11211" or "embedded")"},
    {R"([pools.tokens]
nodes = ["10.0.0.1"])",
     R"(2:10: pools.tokens.nodes[0]: "10.0.0.1" has no port; give "10.0.0.1:11211")"},
    {R"([pools.tokens]
nodes = ["10.0.0.1:0"])",
     R"(2:10: pools.tokens.nodes[0]: "10.0.0.1:0" has no valid port; give one of 1 to 65535)"},
    {R"([pools.tokens]
nodes = [ { address = "10.0.0.1:1", weight = 0 } ])",
     "2:46: pools.tokens.nodes[0].weight: 0 is out of range; give an integer from 1 to 65535"},
    {R"([pools.tokens]
nodes = [ { address = "10.0.0.1:1", wieght = 1 } ])",
     R"(2:37: pools.tokens.nodes[0].wieght: unknown key; did you mean "weight"?)"},
    {R"([pools.tokens]
nodes = [ { name = "a" } ])",
     R"(2:11: pools.tokens.nodes[0]: has no address; give { address = "10.0.0.1:11211" } at least)"},
    {R"([pools.tokens]
nodes = [ { address = "10.0.0.1:1", name = "a b" } ])",
     R"(2:44: pools.tokens.nodes[0].name: "a b" is not a name; give 1 to 255 characters of ASCII without spaces)"},
    {R"([pools.tokens]
nodes = [ "a:1", "b:1", "a:1" ])",
     R"(2:25: pools.tokens.nodes[2]: "a:1" is the name of nodes[0]; give each node another name)"},
    {R"([pools.tokens]
nodes = [ { address = "a:1", name = "x" }, { address = "b:1", name = "x" } ])",
     R"(2:44: pools.tokens.nodes[1]: "x" is the name of nodes[0]; give each node another name)"},
    {R"([pools.tokens]
nodes = [ 5 ])",
     R"(2:11: pools.tokens.nodes[0]: is an integer; give an address, such as "10.0.0.1:11211", or a table with one)"},
    {R"([pools.tokens]
nodes = "a:1"
placement = "ketma")",
     R"(3:13: pools.tokens.placement: "ketma" is unknown; did you mean "ketama"?)"},
    {R"([pools.tokens]
nodes = "a:1"
hash = "md55")",
     R"(3:8: pools.tokens.hash: "md55" is unknown; did you mean "md5"?)"},
    {R"([pools.tokens]
nodes = "a:1"
hash_tag = "{")",
     R"(3:12: pools.tokens.hash_tag: "{" is not a hash tag; give the two characters that enclose it, such as "{}", or "" for none)"},
    {R"([pools.tokens]
nodes = "a:1"
links_per_node = 65)",
     "3:18: pools.tokens.links_per_node: 65 is out of range; give an integer from 1 to 64"},
    {R"([pools.tokens]
nodes = "a:1"
connect_timeout = 0)",
     "3:19: pools.tokens.connect_timeout: 0 is out of range; give 1ms to 10m"},
    {R"([pools.tokens]
nodes = "a:1"
on_failure = "mis")",
     R"(3:14: pools.tokens.on_failure: "mis" is unknown; did you mean "miss"?)"},
    {R"([pools.a]
nodes = ["h:1"]
on_node_down = "gutter")",
     R"(3:16: pools.a.on_node_down: "gutter" needs another pool; give gutter = "its name")"},
    {R"([pools.a]
nodes = ["h:1"]
on_node_down = "gutter"
gutter = "a")",
     R"(4:10: pools.a.gutter: "a" is no other pool; give the name of one)"},
    {R"([pools.a]
nodes = ["h:1"]
gutter = "b")",
     R"(3:10: pools.a.gutter: has no effect here; give on_node_down = "gutter" as well)"},
    {R"([pools."my pool"]
nodes = "a:1")",
     R"(1:8: pools."my pool": is not a name for a pool; give 1 to 64 characters of ASCII without spaces)"},
    {R"([pools.a]
nodes = "a:1"
[pools.b]
nodes = "a:1")",
     "3:1: pools.b: is a second pool, but no namespace says which keys are whose; give [[namespaces]] with prefix and pool"},
    {R"([namespaces]
prefix = "a")",
     "1:1: namespaces: is a table; give a list of them, each under [[namespaces]]"},
    {"[[namespaces]]",
     R"(1:1: namespaces[0]: has no prefix; give the bytes that its keys begin with, or "" for all keys that no other namespace has)"},
    {R"([[namespaces]]
prefix = "a"
pool = "x")",
     R"(3:8: namespaces[0].pool: there is no pool "x"; the pools are default)"},
    {R"([pools.b]
nodes = "a:1"
[pools.a]
nodes = "a:1"
[[namespaces]]
prefix = "a"
pool = "x")",
     R"(7:8: namespaces[0].pool: there is no pool "x"; the pools are b, a)"},
    {R"([pools.b]
nodes = "a:1"
[pools.a]
nodes = "a:1"
[[namespaces]]
prefix = "a")",
     "5:1: namespaces[0]: has no pool; give one of b, a"},
    {R"([[namespaces]]
prefix = "a"
[[namespaces]]
prefix = "a")",
     R"(4:10: namespaces[1].prefix: "a" is the prefix of namespaces[0]; give each namespace its own)"},
    {R"([[namespaces]]
prefix = "a b")",
     R"(2:10: namespaces[0].prefix: "a b" has a space or control character, which keys cannot have; give the bytes that its keys begin with)"},
    {R"([[namespaces]]
prefix = "a"
ttl_cap = "15m"
ttl_default = "1h")",
     "4:15: namespaces[0].ttl_default: 1h is longer than ttl_cap; give at most 15m"},
    {R"([[namespaces]]
prefix = "a"
ttl_jitter = 1.5)",
     "3:14: namespaces[0].ttl_jitter: 1.5 is out of range; give a number from 0 to 1"},
    {R"([[namespaces]]
prefix = "a"
ttl_jitter = nan)",
     "3:14: namespaces[0].ttl_jitter: nan is out of range; give a number from 0 to 1"},
    {R"([[namespaces]]
prefix = "a"
ttl_jitter = "a lot")",
     "3:14: namespaces[0].ttl_jitter: is a string; give a number from 0 to 1"},
    {R"([[namespaces]]
prefix = "a"
ttl_cap = "500ms")",
     "3:11: namespaces[0].ttl_cap: 500ms is too fine; give whole seconds"},
    {R"([[namespaces]]
prefix = "a"
ttl_cap = "15")",
     R"(3:11: namespaces[0].ttl_cap: "15" is not a duration; give an integer of seconds, or a string such as "50us", "500ms", "10s", "15m", "12h" or "7d")"},
    {R"([[namespaces]]
prefix = "a"
ttlcap = 3)",
     R"(3:1: namespaces[0].ttlcap: unknown key; did you mean "ttl_cap"?)"},
    {R"(a = 1
a = 2)",
     "2:5: syntax: key-value pair: cannot redefine existing integer 'a'"},
    {R"(workers = 300
lisen = 1)",
     "1:11: workers: 300 is out of range; give an integer from 0 to 256"},
    {"[audit]\nsample_gets = 1.5", "2:15: audit.sample_gets: 1.5 is out of range; give a number from 0 to 1"},
    {"[audit]\nqueue_max = 1", "2:13: audit.queue_max: 1 is out of range; give an integer from 16 to 1048576"},
    {R"("a\u0001\nb" = 1)",
     R"(1:1: "a\x01\x0Ab": unknown key; the keys here are listen, workers, coalesce_max, drain_timeout, log_level, flush_all, control, limits, embedded, keys, admin, revocation, audit, pools, introspection, namespaces, tls, auth, identities)"},
    {"namespaces = [5]",
     "1:15: namespaces[0]: is an integer; give a table"},
    {"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a = 1",
     "1:66: syntax: nested too deeply; no more than 32 levels"},
    {"listen = [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
     "1:42: syntax: nested too deeply; no more than 32 levels"},
    {R"([limits]
clients_max = "many")",
     "2:15: limits.clients_max: is a string; give an integer from 1 to 16777216"},
    {"limits.value_bytes_max = true",
     R"(1:26: limits.value_bytes_max: is a boolean; give a size such as "1MiB", from 1KiB to 128MiB)"},
    {R"([pools.p]
nodes = [{ address = "10.0.0.1:11211", name = "" }])",
     R"(2:47: pools.p.nodes[0].name: "" is not a name; give 1 to 255 characters of ASCII without spaces)"},
    {R"([pools.p]
nodes = ["b", "c"]
links_per_node = 0)",
     R"(2:10: pools.p.nodes[0]: "b" has no port; give "b:11211")"},
    {R"([[pools]]
nodes = "a:1")",
     "1:1: pools: is an array; give a table"},
    {R"([[namespaces]]
prefix = "é b")",
     R"(2:10: namespaces[0].prefix: "\xC3\xA9 b" has a space or control character, which keys cannot have; give the bytes that its keys begin with)"},
};

// What the ring says of these is its own matter.
constexpr Bad kBadRings[] = {
    {R"([pools.tokens]
nodes = "a:1"
hash = "md5")",
     "3:8: pools.tokens.hash: "},
    {R"([pools.tokens]
nodes = "a:1"
placement = "twemproxy"
hash = "crc32")",
     "4:8: pools.tokens.hash: "},
    {R"([pools.tokens]
nodes = "a:1"
seed = "x")",
     "3:8: pools.tokens.seed: "},
    {R"([pools.tokens]
nodes = "cache-a:11211"
placement = "spymemcached")",
     "2:9: pools.tokens.nodes: "},
    {R"([pools.p]
nodes = ["10.0.0.1:11211", { address = "10.0.0.2:11211", name = "10.0.0.1" }]
placement = "twemproxy")",
     "2:9: pools.p.nodes: "},
};
// clang-format on

}  // namespace

TEST_CASE("a bad configuration is one line: file, line, column, key, what and how") {
  for (const Bad& bad : kBad) {
    CAPTURE(bad.text);
    CHECK(error_of(bad.text) == fmt::format("t.toml:{}", bad.line));
  }
}

TEST_CASE("a pool of which no ring can be made points at the key at fault") {
  for (const Bad& bad : kBadRings) {
    CAPTURE(bad.text);
    const std::string error = error_of(bad.text);
    CAPTURE(error);
    CHECK(error.starts_with(fmt::format("t.toml:{}", bad.line)));
    CHECK(error.find('\n') == std::string::npos);
  }
}

TEST_CASE("a placement nobody knows gets the list of those that are known") {
  CHECK(error_of("[pools.p]\nnodes = \"a:1\"\nplacement = \"random\"") ==
        fmt::format("t.toml:3:13: pools.p.placement: \"random\" is unknown; give one of {}",
                    placement_names()));
}

TEST_CASE("the first error of a file is the one that is told") {
  CHECK(error_of("[pools.p]\nnodes = \"a\"\n[limits]\nzzz = 1\n") ==
        "t.toml:2:9: pools.p.nodes: \"a\" has no port; give \"a:11211\"");
  CHECK(error_of("log_level = 1\nworkers = \"x\"\n").starts_with("t.toml:1:13: log_level:"));
}

TEST_CASE("a file that cannot be read says so") {
  CHECK(read_config("/nowhere/t.toml").error() ==
        "/nowhere/t.toml: cannot read: No such file or directory");
  CHECK(read_config("/").error() == "/: cannot read: Is a directory");
  CHECK(read_config("/dev/zero").error() == "/dev/zero: is too long; give at most 1MiB");
}

TEST_CASE("what is no text is an error and no more") {
  CHECK(error_of("\xFF\xFE").starts_with("t.toml:1:1: syntax: "));
  CHECK(error_of(std::string_view("a = 1\n\0b = 2", 12)).starts_with("t.toml:2:1: syntax: "));
}

TEST_CASE("what nests without end is an error, strings and comments aside") {
  std::string deep;
  for (int i = 0; i < 300'000; ++i) deep += "a.";
  CHECK(error_of(deep + "a = 1").find("nested too deeply") != std::string::npos);

  const std::string dots(100, '.');
  const std::string_view harmless[] = {
      R"(prefix = "@")",        R"(prefix = '@')",   "prefix = '''\n@'''",
      R"(prefix = """a"@"""")", R"(prefix = "\"@")", R"(prefix = 'a' # ' @)",
  };
  for (const std::string_view shape : harmless) {
    std::string text = fmt::format("[[namespaces]]\n{}", shape);
    text.replace(text.find('@'), 1, dots);
    CAPTURE(text);
    CHECK(error_of(text) == "no error");
  }
  const std::string_view before[] = {R"("""a"""")", R"('''a"''')", R"("\"")", "''", R"("""""")"};
  for (const std::string_view string : before) {
    const std::string text = fmt::format("x = {}, {}", string, dots);
    CAPTURE(text);
    CHECK(error_of(text).find("nested too deeply") != std::string::npos);
  }
}
