#include "options.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>
#include <vector>

#include "../unit/seal_keys.hpp"
#include "client.hpp"
#include "who.hpp"

namespace tokenring::sim {

namespace {

// Copies share their table, which takes long to make.
Ring ring_of(const std::vector<NodeSpec>& nodes) {
  static std::map<std::string, Ring> rings;
  std::string name;
  for (const NodeSpec& node : nodes) name += node.address + " ";
  const auto known = rings.find(name);
  if (known != rings.end()) return known->second;
  return rings.emplace(name, Ring::make(nodes, {}).value()).first->second;
}

struct Choice {
  std::vector<NodeSpec> nodes = {};
  std::uint32_t links_per_node = 1;
  bool coalesce = false;
  bool failure_is_miss = true;
  OnNodeDown on_node_down = OnNodeDown::kAsFailure;
  OnRejoin on_rejoin = OnRejoin::kKeep;
  std::int64_t cap_s = kCapS;
  std::string_view keys = seal_kit::kPreparedKeyFile;  // Of a fleet in the middle of a rotation.
};

std::shared_ptr<const Snapshot> snapshot_of(const Options& options, const Choice& choice) {
  auto snapshot = std::make_shared<Snapshot>();
  PoolOptions pool;
  pool.links_per_node = choice.links_per_node;
  if (!options.faults) pool.request_timeout_ms = 1'000'000;  // Chance alone can be slow.
  if (!options.faults) pool.connect_timeout_ms = 1'000'000;
  pool.on_failure = choice.failure_is_miss ? OnFailure::kMiss : OnFailure::kError;
  pool.on_node_down = choice.on_node_down;
  pool.on_rejoin = choice.on_rejoin;
  pool.failover_nodes = 2;
  pool.gutter = 1;
  const auto count = static_cast<std::uint32_t>(choice.nodes.size());
  snapshot->pools.push_back({"default", choice.nodes, ring_of(choice.nodes), pool, 0});
  if (choice.on_node_down == OnNodeDown::kGutter) {
    std::vector<NodeSpec> nodes;
    for (std::uint32_t i = 0; i < kGutterNodes; ++i)
      nodes.push_back({.address = address_of(options.nodes + i)});
    pool.on_node_down = OnNodeDown::kAsFailure;
    snapshot->pools.push_back({"gutter", nodes, ring_of(nodes), pool, count});
  }
  Namespace everything;
  Namespace capped;
  capped.prefix = kCappedPrefix;
  capped.life.ttl_cap_s = choice.cap_s;
  capped.life.ttl_jitter = 0.1;
  everything.coalesce = capped.coalesce = choice.coalesce;
  if (options.sealed) {
    capped.seal.mode = SealMode::kRequire;
    capped.seal.blind_keys = snapshot->has_blind_keys = options.blinded;
    capped.seal.compress = options.blinded;
    snapshot->keyring = Keyring::parse(choice.keys, "keys").value();
  }
  std::vector<Namespace> spaces{everything, capped};
  if (options.asks) add_owned_spaces(options.clients, spaces);
  snapshot->namespaces = NamespaceTable(std::move(spaces));
  if (options.asks) ask_who(options.clients, *snapshot);
  if (options.sealed) {
    std::vector<std::string> names;
    for (const Namespace& space : snapshot->namespaces.all()) names.push_back(space.prefix);
    snapshot->keys = NamespaceKeys::derive(*snapshot->keyring, names);
  }
  Limits& limits = snapshot->limits;
  limits.value_bytes_max = kValueBytesMax;
  limits.requests_per_client_max = 200;
  limits.output_bytes_per_client_max = std::size_t{64} << 10;
  if (options.tight) {
    limits.in_flight_per_worker_max = 12;
    limits.pending_per_backend_max = 8;
    limits.buffer_bytes_per_worker_max = std::size_t{96} << 10;
  }
  limits.idle_timeout_s = options.time_limits ? 2 : 0;
  limits.request_read_timeout_s = limits.reply_write_timeout_s = options.time_limits ? 1 : 0;
  snapshot->tallies = make_tallies(1, *snapshot, nullptr);
  return snapshot;
}

OnNodeDown stand_in_of(const Options& options, std::uint64_t chance) {
  if (!options.stand_ins) return OnNodeDown::kAsFailure;
  return chance % 2 == 0 ? OnNodeDown::kFailover : OnNodeDown::kGutter;
}

}  // namespace

std::string address_of(std::uint32_t node) {
  return fmt::format("node{}:11211", node);
}

Options Options::of(std::uint64_t seed) {
  Random random(seed ^ 0x51);
  Options options;
  options.seed = seed;
  options.nodes = 1 + static_cast<std::uint32_t>(random.below(4));
  options.clients = 1 + static_cast<std::uint32_t>(random.below(8));
  options.links_per_node = random.one_in(4) ? 2 : 1;
  options.faults = random.one_in(2);
  options.lies = options.faults && random.one_in(2);
  options.failure_is_miss = !random.one_in(3);
  options.coalesce = random.one_in(2);
  options.stand_ins = random.one_in(3);
  options.flush = random.one_in(4);
  options.reloads = random.one_in(2);
  options.node_changes = options.reloads && random.one_in(2);
  options.tight = random.one_in(6);
  options.time_limits = random.one_in(6);
  options.drains = random.one_in(6);
  options.sealed = random.one_in(2);
  options.blinded = options.sealed && random.one_in(2);
  options.asks = random.one_in(3);
  options.requests = 20 + static_cast<std::uint32_t>(random.below(80));
  return options;
}

std::string Options::text() const {
  std::string text =
      fmt::format("seed {} (nodes {}, clients {}, links {}, on_failure {}", seed, nodes, clients,
                  links_per_node, failure_is_miss ? "miss" : "error");
  const std::pair<bool, const char*> parts[] = {{faults, "faults"},
                                                {lies, "lies"},
                                                {coalesce, "coalesce"},
                                                {stand_ins, "stand-ins"},
                                                {flush, "flush"},
                                                {reloads, "reloads"},
                                                {node_changes, "node changes"},
                                                {tight, "tight"},
                                                {time_limits, "time limits"},
                                                {sealed, "sealed"},
                                                {blinded, "blinded"},
                                                {drains, "drains"},
                                                {asks, "identities"}};
  for (const auto& [is_on, name] : parts)
    if (is_on) text += fmt::format(", {}", name);
  return text + ")";
}

std::shared_ptr<const Snapshot> first_snapshot(const Options& options) {
  Choice choice{.links_per_node = options.links_per_node,
                .coalesce = options.coalesce,
                .failure_is_miss = options.failure_is_miss,
                .on_node_down = stand_in_of(options, options.seed)};
  for (std::uint32_t i = 0; i < options.nodes; ++i)
    choice.nodes.push_back({.address = address_of(i)});
  if (options.stand_ins)
    choice.on_rejoin = options.seed % 3 == 0 ? OnRejoin::kKeep : OnRejoin::kFlush;
  return snapshot_of(options, choice);
}

std::shared_ptr<const Snapshot> next_snapshot(const Options& options, Random& random) {
  Choice choice{.links_per_node = options.links_per_node,
                .coalesce = random.one_in(2),
                .failure_is_miss = random.one_in(2),
                .on_node_down = stand_in_of(options, random.next()),
                .cap_s = random.one_in(2) ? kCapS : kCapS / 2,
                .keys = random.one_in(2) ? seal_kit::kPreparedKeyFile : seal_kit::kRotatedKeyFile};
  if (options.node_changes) choice.links_per_node = random.one_in(2) ? 1 : 2;
  if (options.stand_ins && random.one_in(2)) choice.on_rejoin = OnRejoin::kFlush;
  if (options.faults && random.one_in(4))
    choice.on_node_down = random.one_in(2) ? OnNodeDown::kMiss : OnNodeDown::kError;
  for (std::uint32_t i = 0; i < options.nodes; ++i)
    if (!options.node_changes || random.one_in(2))
      choice.nodes.push_back({.address = address_of(i)});
  if (choice.nodes.empty()) choice.nodes.push_back({.address = address_of(0)});
  return snapshot_of(options, choice);
}

}  // namespace tokenring::sim
