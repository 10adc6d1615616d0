// Placements against what the real libraries and proxies chose.
//
// tests/vectors/placement.tsv has a row per implementation, server list, key and chosen server. Its
// server lists are "address:weight" or "address:weight name", comma separated; bytes
// outside 33..126 of a key are \xHH.
#include <doctest/doctest.h>

#include <charconv>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tokenring/ring.hpp"

using namespace tokenring;

namespace {

struct Server {
  std::string address;  // As the vectors have it, which is also how they name the owner.
  std::uint32_t weight = 1;
  std::string alias;
};

// The explicit ring names that configurations need whose addresses alone do not tell.

// What spymemcached makes of Java's printed address; a name that did not resolve says so.
std::string spymemcached_printed(const Server& server) {
  const std::size_t colon = server.address.rfind(':');
  const bool resolved = server.address.find('/') != std::string::npos ||
                        server.address.find_first_not_of("0123456789.:") == std::string::npos;
  if (resolved) return server.address;
  return server.address.substr(0, colon) + "/<unresolved>" + server.address.substr(colon);
}

std::string alias_if_any(const Server& server) {
  return server.alias;
}
std::string path_of_socket(const Server& server) {
  return server.address;
}

// Java prints an address that has a name as "host/ip:port", one without as "/ip:port".
std::string java_printed(const Server& server) {
  return server.address.find('/') == std::string::npos ? "/" + server.address : server.address;
}

std::string without_default_port(std::string text) {
  constexpr std::string_view kPort = ":11211";
  if (text.ends_with(kPort)) text.resize(text.size() - kPort.size());
  return text;
}

std::string host_of_resolved(const Server& server) {
  const std::size_t slash = server.address.find('/');
  if (slash == std::string::npos) return without_default_port(server.address);
  return without_default_port(server.address.substr(0, slash) +
                              server.address.substr(server.address.rfind(':')));
}

std::string ip_of_resolved(const Server& server) {
  const std::size_t slash = server.address.find('/');
  return without_default_port(server.address.substr(slash == std::string::npos ? 0 : slash + 1));
}

using P = Placement;
using H = KeyHash;

// How a configuration of an implementation is written for us.
struct Mapping {
  std::string_view implementation;
  std::size_t rows;
  RingOptions options;
  std::string (*name)(const Server&) = alias_if_any;
  bool weights = true;  // False: it ignored weights in a mode of ours that takes them.
  std::string_view uncovered_key = {};  // Its row needs a mode that we do not have.
};

const std::vector<Mapping>& mappings() {
  static const std::vector<Mapping> all{
      {"libmemcached-1.1.4/modula", 700, {.placement = P::kModula}},
      {"libmemcached-1.1.4/ketama", 700, {.placement = P::kLibmemcachedKetama}},
      {"libmemcached-1.1.4/ketama,hash=md5",
       700,
       {.placement = P::kLibmemcachedKetama, .hash = H::kMd5}},
      {"libmemcached-1.1.4/ketama_spy(weighted)",
       100,
       {.placement = P::kLibmemcachedWeighted},
       java_printed},
      {"libmemcached-1.1.4/ketama_weighted", 700, {.placement = P::kLibmemcachedWeighted}},
      {"libmemcached-1.1.4/ketama_weighted(add)",
       100,
       {.placement = P::kLibmemcachedWeighted},
       path_of_socket},
      {"libmemcached-1.1.4/ketama_weighted(add_unix_socket)",
       100,
       {.placement = P::kLibmemcachedWeighted}},
      {"libmemcached-1.1.4/ketama_weighted(server_push)",
       100,
       {.placement = P::kLibmemcachedWeighted}},
      {"libmemcached-1.1.4/ketama_weighted,hash=fnv1_32",
       100,
       {.placement = P::kLibmemcachedWeighted, .hash = H::kFnv1_32}},
      {"libmemcached-1.1.4/ketama_weighted,hash=fnv1_64",
       100,
       {.placement = P::kLibmemcachedWeighted, .hash = H::kFnv1_64}},
      {"libmemcached-1.1.4/ketama_weighted,hash=fnv1a_32",
       100,
       {.placement = P::kLibmemcachedWeighted, .hash = H::kFnv1a_32}},
      {"libmemcached-1.1.4/ketama_weighted,hash=fnv1a_64",
       100,
       {.placement = P::kLibmemcachedWeighted, .hash = H::kFnv1a_64}},
      {"libmemcached-1.1.4/ketama_weighted,hash=jenkins",
       100,
       {.placement = P::kLibmemcachedWeighted, .hash = H::kJenkins}},
      {"libmemcached-1.1.4/ketama_weighted,hash=murmur",
       100,
       {.placement = P::kLibmemcachedWeighted, .hash = H::kMurmur}},
      {"libmemcached-1.1.4/ketama_weighted,hash=murmur3",
       100,
       {.placement = P::kLibmemcachedWeighted, .hash = H::kMurmur3}},

      {"php-memcached-3.2.0(libmemcached-1.1.4)/default", 500, {.placement = P::kModula}},
      {"php-memcached-3.2.0(libmemcached-1.1.4)/OPT_DISTRIBUTION=CONSISTENT",
       500,
       {.placement = P::kLibmemcachedKetama}},
      {"php-memcached-3.2.0(libmemcached-1.1.4)/OPT_LIBKETAMA_COMPATIBLE",
       500,
       {.placement = P::kLibmemcachedWeighted}},
      {"pylibmc-1.6.3(libmemcached-1.1.4)/default", 392, {.placement = P::kModula}},
      {"pylibmc-1.6.3(libmemcached-1.1.4)/ketama", 392, {.placement = P::kLibmemcachedKetama}},
      {"pylibmc-1.6.3(libmemcached-1.1.4)/ketama,hash=md5",
       392,
       {.placement = P::kLibmemcachedKetama, .hash = H::kMd5}},
      {"pylibmc-1.6.3(libmemcached-1.1.4)/ketama_weighted",
       392,
       {.placement = P::kLibmemcachedWeighted}},

      {"nutcracker-0.5.0/ketama,hash=fnv1a_64", 1000, {.placement = P::kTwemproxy}},
      {"nutcracker-0.5.0/ketama,hash=md5", 1000, {.placement = P::kTwemproxy, .hash = H::kMd5}},
      {"nutcracker-0.5.0/ketama,hash=md5,hash_tag={}",
       100,
       {.placement = P::kTwemproxy, .hash = H::kMd5, .hash_tag = "{}"}},
      {"nutcracker-0.5.0/ketama,hash=crc16", 100, {.placement = P::kTwemproxy, .hash = H::kCrc16}},
      {"nutcracker-0.5.0/ketama,hash=crc32a",
       100,
       {.placement = P::kTwemproxy, .hash = H::kCrc32a}},
      {"nutcracker-0.5.0/ketama,hash=fnv1_32",
       100,
       {.placement = P::kTwemproxy, .hash = H::kFnv1_32}},
      {"nutcracker-0.5.0/ketama,hash=fnv1_64",
       100,
       {.placement = P::kTwemproxy, .hash = H::kFnv1_64}},
      {"nutcracker-0.5.0/ketama,hash=fnv1a_32",
       100,
       {.placement = P::kTwemproxy, .hash = H::kFnv1a_32}},
      {"nutcracker-0.5.0/ketama,hash=hsieh", 100, {.placement = P::kTwemproxy, .hash = H::kHsieh}},
      {"nutcracker-0.5.0/ketama,hash=jenkins",
       100,
       {.placement = P::kTwemproxy, .hash = H::kJenkins}},
      {"nutcracker-0.5.0/ketama,hash=murmur",
       100,
       {.placement = P::kTwemproxy, .hash = H::kMurmur}},
      {"nutcracker-0.5.0/ketama,hash=one_at_a_time",
       200,
       {.placement = P::kTwemproxy, .hash = H::kOneAtATime}},
      {"nutcracker-0.5.0/modula,hash=fnv1a_64", 200, {.placement = P::kTwemproxyModula}},
      {"nutcracker-0.5.0/modula,hash=one_at_a_time",
       100,
       {.placement = P::kTwemproxyModula, .hash = H::kOneAtATime}},

      {"lastfm-libketama/ketama", 400, {.placement = P::kLastfm}},

      {"spymemcached-2.12.3/ketama(format=SPYMEMCACHED,hash=KETAMA_HASH)",
       500,
       {.placement = P::kSpymemcached},
       spymemcached_printed},
      {"spymemcached-2.12.3/ketama(format=SPYMEMCACHED,hash=FNV1A_64_HASH)",
       500,
       {.placement = P::kSpymemcached, .hash = H::kFnv1a_64},
       spymemcached_printed},
      {"spymemcached-2.12.3/ketama(format=LIBMEMCACHED,hash=KETAMA_HASH)",
       200,
       {.placement = P::kSpymemcached},
       host_of_resolved},
      {"spymemcached-2.12.3/ketama(format=LIBMEMCACHED,weighted,hash=KETAMA_HASH)",
       200,
       {.placement = P::kLibmemcachedWeighted},
       host_of_resolved},
      {"spymemcached-2.12.3/array_mod(NATIVE_HASH,default)",
       500,
       {.placement = P::kModula, .hash = H::kJava}},
      {"xmemcached-2.4.10-SNAPSHOT/KetamaMemcachedSessionLocator",
       400,
       {.placement = P::kXmemcached},
       java_printed},
      {"xmemcached-2.4.10-SNAPSHOT/KetamaMemcachedSessionLocator(cwNginxUpstreamConsistent)",
       400,
       {.placement = P::kXmemcached},
       ip_of_resolved},
      {"xmemcached-2.4.10-SNAPSHOT/LibmemcachedMemcachedSessionLocator",
       100,
       {.placement = P::kLibmemcachedKetama},
       host_of_resolved,
       false,
       "\xe9\x8d\xb5"},  // libmemcached's ring under Java's one_at_a_time: bytes are not signed.

      {"memcached-proxy-1.6.45/default(jump,xxh3)", 300, {.placement = P::kMcproxyJump}},
      {"memcached-proxy-1.6.45/jump(seed=tokenring,xxh3)",
       300,
       {.placement = P::kMcproxyJump, .seed = "tokenring"}},
      {"memcached-proxy-1.6.45/ring_hash(default,xxh3)", 300, {.placement = P::kMcproxyRing}},
      {"memcached-proxy-1.6.45/ring_hash(omode=ketama,hash=md5)",
       300,
       {.placement = P::kMcproxyKetama}},
      {"memcached-proxy-1.6.45/ring_hash(omode=ketama,key=xxh3)",
       300,
       {.placement = P::kMcproxyKetama, .hash = H::kXxh3}},
      {"memcached-proxy-1.6.45/ring_hash(omode=evcache,hash=md5)",
       300,
       {.placement = P::kMcproxyEvcache}},
      {"memcached-proxy-1.6.45/ring_hash(omode=twemproxy,hash=md5)",
       300,
       {.placement = P::kMcproxyTwemproxy}},
      {"memcached-proxy-1.6.45/ring_hash(omode=twemproxy,hash=md5,tags={})",
       300,
       {.placement = P::kMcproxyTwemproxy, .hash_tag = "{}"}},

      {"dalli-5.0.6/ring", 600, {.placement = P::kDalli}},
      {"pymemcache-4.0.0/rendezvous-murmur3_32", 392, {.placement = P::kPymemcache}},
      {"gomemcache-8d39553/crc32_mod", 300, {.placement = P::kCrc32Mod}},
  };
  return all;
}

// Hashes that we refuse on a ring. The rows show why: all their keys have one owner.
const std::vector<Mapping>& refused() {
  static const std::vector<Mapping> all{
      {"libmemcached-1.1.4/ketama_weighted,hash=crc",
       100,
       {.placement = P::kLibmemcachedWeighted, .hash = H::kCrc32}},
      {"nutcracker-0.5.0/ketama,hash=crc32", 100, {.placement = P::kTwemproxy, .hash = H::kCrc32}},
  };
  return all;
}

struct Row {
  std::string key;
  std::string owner;
};
using RowsByServers = std::map<std::string, std::vector<Row>>;

std::string unescaped(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i, 2) == "\\x") {
      unsigned value = 0;
      std::from_chars(text.data() + i + 2, text.data() + i + 4, value, 16);
      bytes += static_cast<char>(value);
      i += 3;
    } else {
      bytes += text[i];
    }
  }
  return bytes;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

const std::map<std::string, RowsByServers, std::less<>>& vectors() {
  static const auto all = [] {
    std::map<std::string, RowsByServers, std::less<>> loaded;
    std::ifstream file(TOKENRING_PLACEMENT_VECTORS);
    REQUIRE(file.is_open());
    std::string line;
    std::getline(file, line);
    while (std::getline(file, line)) {
      const std::vector<std::string> fields = split(line, '\t');
      REQUIRE(fields.size() == 4);
      loaded[fields[0]][fields[1]].push_back({unescaped(fields[2]), fields[3]});
    }
    return loaded;
  }();
  return all;
}

std::vector<Server> parse_servers(const std::string& list) {
  std::vector<Server> servers;
  for (const std::string& entry : split(list, ',')) {
    const std::size_t space = entry.find(' ');
    const std::string rest = entry.substr(0, space);
    const std::size_t colon = rest.rfind(':');
    Server server;
    server.address = rest.substr(0, colon);
    server.weight = static_cast<std::uint32_t>(std::stoul(rest.substr(colon + 1)));
    if (space != std::string::npos) server.alias = entry.substr(space + 1);
    servers.push_back(std::move(server));
  }
  return servers;
}

std::vector<NodeSpec> nodes_of(const std::vector<Server>& servers, const Mapping& mapping) {
  std::vector<NodeSpec> nodes;
  for (const Server& server : servers) {
    const bool socket = server.address.starts_with('/');
    nodes.push_back({.address = socket ? "unix:" + server.address : server.address,
                     .name = mapping.name(server),
                     .weight = mapping.weights ? server.weight : 1});
  }
  return nodes;
}

struct Tally {
  std::size_t rows = 0;
  std::size_t uncovered = 0;
  std::string wrong;  // Server lists and keys, a line each.
};

Tally compare(const Mapping& mapping) {
  Tally tally;
  const auto found = vectors().find(mapping.implementation);
  REQUIRE(found != vectors().end());
  for (const auto& [list, rows] : found->second) {
    const std::vector<Server> servers = parse_servers(list);
    const auto ring = Ring::make(nodes_of(servers, mapping), mapping.options);
    REQUIRE_MESSAGE(ring.has_value(), ring.error());
    for (const Row& row : rows) {
      ++tally.rows;
      if (!row.key.empty() && row.key == mapping.uncovered_key) {
        ++tally.uncovered;
        continue;
      }
      if (servers[ring->owner_of(row.key)].address != row.owner) {
        tally.wrong += list + " " + row.key + "\n";
      }
    }
  }
  return tally;
}

}  // namespace

TEST_CASE("every key has the owner that the real implementation gave it") {
  for (const Mapping& mapping : mappings()) {
    CAPTURE(mapping.implementation);
    const Tally tally = compare(mapping);
    CHECK(tally.rows == mapping.rows);
    CHECK(tally.uncovered == (mapping.uncovered_key.empty() ? 0 : 1));
    CHECK(tally.wrong == "");
  }
}

TEST_CASE("a hash of 15 bits is refused on a ring, where it leaves all keys to one node") {
  for (const Mapping& mapping : refused()) {
    CAPTURE(mapping.implementation);
    const auto found = vectors().find(mapping.implementation);
    REQUIRE(found != vectors().end());
    std::size_t rows_seen = 0;
    for (const auto& [list, rows] : found->second) {
      rows_seen += rows.size();
      for (const Row& row : rows) CHECK(row.owner == rows.front().owner);
      const auto ring = Ring::make(nodes_of(parse_servers(list), mapping), mapping.options);
      REQUIRE_FALSE(ring.has_value());
      CHECK(ring.error().find("15 of 32 bits") != std::string::npos);
    }
    CHECK(rows_seen == mapping.rows);
  }
}

TEST_CASE("no row of the vectors is left out") {
  std::size_t listed = 0;
  for (const Mapping& mapping : mappings()) listed += mapping.rows;
  for (const Mapping& mapping : refused()) listed += mapping.rows;
  std::size_t present = 0;
  for (const auto& [implementation, lists] : vectors()) {
    for (const auto& [list, rows] : lists) present += rows.size();
  }
  CHECK(present == 17460);
  CHECK(listed == present);
}
