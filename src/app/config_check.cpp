// What must hold between the values of a configuration.

#include <fmt/format.h>

#include <cctype>
#include <map>

#include "app/config_draft.hpp"
#include "app/quantity.hpp"
#include "app/spelling.hpp"

namespace tokenring {

namespace {

void check_nodes(const PoolDraft& draft, Errors& errors) {
  const std::vector<NodeSpec>& nodes = draft.pool.nodes;
  if (draft.nodes_at == Position{}) {
    errors.add(draft.at, draft.key,
               "has no nodes; give nodes = [\"10.0.0.1:11211\"], or [\"embedded\"] for a store "
               "inside the proxy");
  }
  std::map<std::string_view, std::size_t> seen;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto [other, fresh] = seen.emplace(nodes[i].shown(), i);
    if (fresh) continue;
    errors.add(draft.node_at[i], fmt::format("{}.nodes[{}]", draft.key, i),
               fmt::format("{} is the name of nodes[{}]; give each node another name",
                           quoted(nodes[i].shown()), other->second));
  }
}

// Whether a ring can be made of the nodes; the key at fault is the one without which it can.
void check_ring(const PoolDraft& draft, Errors& errors) {
  std::vector<NodeSpec> nodes = draft.pool.nodes;
  // What stands for addresses has itself no name that the placement could make something of.
  for (NodeSpec& node : nodes)
    if (std::count(draft.pool.expanded.begin(), draft.pool.expanded.end(), node.address) > 0)
      node.name = node.address;
  const Result<Ring, std::string> ring = Ring::make(nodes, draft.pool.ring);
  if (ring) return;
  RingOptions without_hash = draft.pool.ring;
  without_hash.hash.reset();
  RingOptions without_seed = draft.pool.ring;
  without_seed.seed.clear();
  if (draft.hash_at != Position{} && Ring::make(nodes, without_hash))
    errors.add(draft.hash_at, draft.key + ".hash", ring.error());
  else if (draft.seed_at != Position{} && Ring::make(nodes, without_seed))
    errors.add(draft.seed_at, draft.key + ".seed", ring.error());
  else
    errors.add(draft.nodes_at, draft.key + ".nodes", ring.error());
}

// Who stands in for a node that is down, and what becomes of it when it is back. Where somebody
// stands in, a node that comes back is flushed unless the file says otherwise.
void check_stand_in(PoolDraft& draft, const Draft& all, Errors& errors) {
  PoolOptions& options = draft.pool.options;
  const bool has_gutter = options.on_node_down == OnNodeDown::kGutter;
  const bool has_failover = options.on_node_down == OnNodeDown::kFailover;
  if (draft.on_rejoin_at == Position{} && (has_gutter || has_failover))
    options.on_rejoin = OnRejoin::kFlush;
  // Where it is the default, it may stand there.
  const PoolOptions defaults;
  if (!has_failover && options.failover_nodes != defaults.failover_nodes)
    errors.add(draft.failover_nodes_at, draft.key + ".failover_nodes",
               "has no effect here; give on_node_down = \"failover\" as well");
  if (!has_failover && !has_gutter && options.failover_ttl_s != defaults.failover_ttl_s)
    errors.add(draft.failover_ttl_at, draft.key + ".failover_ttl",
               "has no effect here; give on_node_down = \"failover\" or \"gutter\" as well");
  if (!has_gutter) {
    if (draft.gutter_at != Position{})
      errors.add(draft.gutter_at, draft.key + ".gutter",
                 "has no effect here; give on_node_down = \"gutter\" as well");
    return;
  }
  const auto pool = std::find_if(all.pools.begin(), all.pools.end(), [&](const PoolDraft& other) {
    return other.pool.name == draft.pool.gutter;
  });
  if (draft.gutter_at == Position{})
    errors.add(draft.on_node_down_at, draft.key + ".on_node_down",
               "\"gutter\" needs another pool; give gutter = \"its name\"");
  else if (pool == all.pools.end() || draft.pool.gutter == draft.pool.name)
    errors.add(draft.gutter_at, draft.key + ".gutter",
               fmt::format("{} is no other pool; give the name of one", quoted(draft.pool.gutter)));
}

void check_pool_of(NamespaceDraft& space, const Draft& draft, Errors& errors) {
  std::vector<std::string_view> names;
  for (const PoolDraft& pool : draft.pools) names.push_back(pool.pool.name);
  if (space.pool_at == Position{} && names.size() == 1) {
    space.space.pool = names[0];
  } else if (space.pool_at == Position{}) {
    errors.add(space.at, space.key,
               fmt::format("has no pool; give one of {}", fmt::join(names, ", ")));
  } else if (std::find(names.begin(), names.end(), space.space.pool) == names.end()) {
    errors.add(space.pool_at, space.key + ".pool",
               fmt::format("there is no pool {}; the pools are {}", quoted(space.space.pool),
                           fmt::join(names, ", ")));
  }
}

// What sealing takes: keys, a deadline where it begins, and a ring that can hide names.
void check_seal(const NamespaceDraft& draft, const Draft& all, Errors& errors) {
  const SealRules& seal = draft.space.seal;
  const auto add = [&](Position at, std::string_view key, std::string_view message) {
    errors.add(at, fmt::format("{}.{}", draft.key, key), message);
  };
  if (!seal.seals()) {
    constexpr std::string_view kNeedsSeal =
        "has no effect without seal = \"require\" or \"migrate\"";
    if (seal.blind_keys) add(draft.blind_keys_at, "blind_keys", kNeedsSeal);
    if (seal.compress) add(draft.compress_at, "compress", kNeedsSeal);
    if (draft.space.life.max_age_s > 0) add(draft.max_age_at, "max_age", kNeedsSeal);
    return;
  }
  if (!all.config.keys.any())
    add(draft.seal_at, "seal",
        "needs keys; give [keys] file = \"PATH\", made with `tokenring keygen`");
  const bool migrates = seal.mode == SealMode::kMigrate;
  if (migrates && draft.seal_until_at == Position{})
    add(draft.seal_at, "seal",
        "\"migrate\" needs a deadline; give seal_until = \"2026-12-31T00:00:00Z\", or so");
  if (!migrates && draft.seal_until_at != Position{})
    add(draft.seal_until_at, "seal_until", "has no effect without seal = \"migrate\"");
  if (migrates && seal.blind_keys)
    add(draft.blind_keys_at, "blind_keys",
        "would look for what is there under other names; give it with seal = \"require\"");
  if (draft.dictionary_at != Position{} && !seal.compress)
    add(draft.dictionary_at, "dictionary", "has no effect without compress = true");
  const auto pool = std::find_if(all.pools.begin(), all.pools.end(), [&](const PoolDraft& other) {
    return other.pool.name == draft.space.pool;
  });
  if (!seal.blind_keys || pool == all.pools.end()) return;
  const std::string tag = pool->pool.ring.hash_tag.value_or("");
  if (std::any_of(tag.begin(), tag.end(),
                  [](char c) { return std::isalnum(c) || c == '-' || c == '_'; }))
    add(draft.blind_keys_at, "blind_keys",
        fmt::format("needs a hash_tag of characters that blinded keys do not have; {} is that of "
                    "pool {}",
                    quoted(tag), draft.space.pool));
}

// Rules for tokens are kept by sealed words of our own, and by one node alone.
void check_tokens(const NamespaceDraft& draft, Errors& errors) {
  const TokenRules& tokens = draft.space.tokens;
  const auto add = [&](Position at, std::string_view key, std::string_view message) {
    errors.add(at, fmt::format("{}.{}", draft.key, key), message);
  };
  struct Rule {
    std::string_view key;
    Position at;
    bool is_on;
  };
  const Rule rules[] = {{"revocable", draft.revocable_at, tokens.revokes()},
                        {"one_time", draft.one_time_at, tokens.one_time},
                        {"fill_guard", draft.fill_guard_at, tokens.fill_guard_s > 0},
                        {"herd_wait", draft.herd_wait_at, tokens.herd_wait_ms > 0}};
  constexpr std::string_view kNeedsSeal = "needs seal = \"require\"";
  const bool is_sealed = draft.space.seal.mode == SealMode::kRequire;
  if (tokens.replay_guard && !is_sealed) add(draft.replay_guard_at, "replay_guard", kNeedsSeal);
  for (const Rule& rule : rules) {
    if (!rule.is_on) continue;
    if (!is_sealed) add(rule.at, rule.key, kNeedsSeal);
    if (tokens.replay_guard)
      add(rule.at, rule.key, "has no effect beside replay_guard; leave it out");
  }
  if (tokens.one_time && draft.space.coalesce)
    add(draft.coalesce_at, "coalesce", "would give one value to several, against one_time");
  if (tokens.one_time && tokens.herd_wait_ms > 0)
    add(draft.herd_wait_at, "herd_wait", "excludes one_time; leave one of them out");
  const LifeRules& life = draft.space.life;
  if (tokens.replay_guard && (life.ttl_cap_s > 0 || life.max_age_s > 0 || life.ttl_jitter > 0))
    add(draft.replay_guard_at, "replay_guard",
        "would forget a token before its end; leave ttl_cap, max_age and ttl_jitter out");
  if (life.token_life != TokenLife::kIgnore) return;
  constexpr std::string_view kNeedsLife = "has no effect without ttl_from_token";
  if (tokens.negative_ttl_s > 0) add(draft.negative_ttl_at, "negative_ttl", kNeedsLife);
  if (life.skew_s > 0) add(draft.skew_at, "skew", kNeedsLife);
}

void check_near(const NamespaceDraft& draft, Errors& errors) {
  constexpr std::int64_t kRevocableTtlMs = 1000;
  if (draft.near_at == Position{} || errors.any()) return;  // What it lacks may be misspelled.
  const std::string key = draft.key + ".near";
  if (draft.space.near_bytes == 0 || draft.near_ttl_at == Position{})
    errors.add(draft.near_at, key,
               "needs both; give { bytes = \"16MiB\", ttl = \"500ms\" }, or so");
  else if (draft.space.tokens.one_time)
    errors.add(draft.near_at, key, "would give one value out again, against one_time");
  else if (draft.space.tokens.revokes() && draft.space.near_ttl_ms > kRevocableTtlMs)
    errors.add(draft.near_ttl_at, key + ".ttl",
               fmt::format("{} is how long what another proxy revoked would be given out; give at "
                           "most 1s",
                           duration_text(draft.space.near_ttl_ms * 1000)));
}

void check_flush_all(const Draft& draft, Errors& errors) {
  for (const std::string& address : draft.config.flush_all_at.value_or(std::vector<std::string>()))
    if (std::find(draft.config.listen.begin(), draft.config.listen.end(), address) ==
        draft.config.listen.end())
      errors.add(draft.flush_all_at, "flush_all",
                 fmt::format("{} is no address of listen; give some of {}", quoted(address),
                             fmt::join(draft.config.listen, ", ")));
}

void check_keys(const Draft& draft, Errors& errors) {
  const KeySource& keys = draft.config.keys;
  const int sources = (keys.file.empty() ? 0 : 1) + (keys.credential.empty() ? 0 : 1) +
                      (keys.command.argv.empty() ? 0 : 1);
  if (sources > 1)
    errors.add(draft.keys_at, "keys",
               "come from several places; give one of file, credential, command");
}

void check_namespaces(Draft& draft, Errors& errors) {
  using Place = std::pair<std::string_view, std::string_view>;
  std::map<Place, const NamespaceDraft*> seen;
  for (NamespaceDraft& space : draft.namespaces) {
    const LifeRules& life = space.space.life;
    if (space.prefix_at == Position{}) {
      errors.add(
          space.at, space.key,
          "has no prefix; give the bytes that its keys begin with, or \"\" for all keys that "
          "no other namespace has");
      continue;
    }
    const auto [other, fresh] =
        seen.emplace(Place(space.space.identity, space.space.prefix), &space);
    if (!fresh) {
      errors.add(space.prefix_at, space.key + ".prefix",
                 fmt::format("{} is the prefix of {}; give each namespace its own",
                             quoted(space.space.prefix), other->second->key));
    }
    check_pool_of(space, draft, errors);
    check_seal(space, draft, errors);
    check_tokens(space, errors);
    check_near(space, errors);
    if (life.ttl_cap_s > 0 && life.ttl_default_s > life.ttl_cap_s) {
      const std::string cap = duration_text(life.ttl_cap_s * 1'000'000);
      errors.add(space.ttl_default_at, space.key + ".ttl_default",
                 fmt::format("{} is longer than ttl_cap; give at most {}",
                             duration_text(life.ttl_default_s * 1'000'000), cap));
    }
  }
}

// An item lies in one piece beside its key and the store's own tables.
void check_embedded(const Draft& draft, Errors& errors) {
  constexpr std::size_t kValuesMin = 4;
  const std::size_t value_bytes_max = draft.config.limits.value_bytes_max;
  const bool in_use = draft.pools.empty() ||
                      std::any_of(draft.pools.begin(), draft.pools.end(), [](const auto& pool) {
                        const auto& nodes = pool.pool.nodes;
                        return std::any_of(nodes.begin(), nodes.end(), [](const NodeSpec& node) {
                          return node.address == "embedded";
                        });
                      });
  if (!in_use || draft.config.embedded_memory_bytes / kValuesMin >= value_bytes_max) return;
  const bool by_memory = draft.memory_at != Position{};
  const auto text = [](std::size_t bytes) { return bytes_text(static_cast<std::int64_t>(bytes)); };
  errors.add(
      by_memory ? draft.memory_at : draft.value_bytes_max_at,
      by_memory ? "embedded.memory" : "limits.value_bytes_max",
      fmt::format("{} of embedded.memory is too little for values of up to {}; give it at least {}",
                  text(draft.config.embedded_memory_bytes), text(value_bytes_max),
                  text(value_bytes_max * kValuesMin)));
}

}  // namespace

void check_draft(Draft& draft, Errors& errors) {
  for (const PoolDraft& pool : draft.pools) check_nodes(pool, errors);
  for (PoolDraft& pool : draft.pools) check_stand_in(pool, draft, errors);
  check_introspection(draft, errors);
  check_namespaces(draft, errors);
  check_embedded(draft, errors);
  check_keys(draft, errors);
  check_flush_all(draft, errors);
  check_admin(draft, errors);
  check_revocation(draft, errors);
  check_tls(draft, errors);
  check_identities(draft, errors);
  const auto serves_keys = [&](const PoolDraft& pool) {
    return std::none_of(draft.pools.begin(), draft.pools.end(), [&](const PoolDraft& other) {
      return other.pool.gutter == pool.pool.name;
    });
  };
  if (draft.namespaces.empty() &&
      std::count_if(draft.pools.begin(), draft.pools.end(), serves_keys) > 1) {
    errors.add(draft.pools[1].at, draft.pools[1].key,
               "is a second pool, but no namespace says which keys are whose; give [[namespaces]] "
               "with prefix and pool");
  }
  if (errors.any()) return;
  for (const PoolDraft& pool : draft.pools) check_ring(pool, errors);
}

}  // namespace tokenring
