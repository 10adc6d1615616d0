#include "app/config.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <thread>

#include "app/access.hpp"
#include "app/audit_rules.hpp"
#include "app/config_draft.hpp"
#include "app/quantity.hpp"
#include "app/random_seed.hpp"
#include "app/read_file.hpp"
#include "app/seal_material.hpp"
#include "app/spelling.hpp"

namespace tokenring {

namespace {

PoolConfig default_pool() {
  PoolConfig pool;
  pool.name = "default";
  pool.nodes.push_back({.address = "embedded", .name = {}});
  return pool;
}

PoolDraft default_pool_draft() {
  PoolDraft draft;
  draft.pool = default_pool();
  draft.key = "pools.default";
  draft.at = draft.nodes_at = {1, 1};
  draft.node_at = {{1, 1}};
  return draft;
}

// The pool that serves keys, where there is one such; gutters do not count.
std::optional<std::uint32_t> only_pool(const Config& config) {
  std::optional<std::uint32_t> only;
  for (std::uint32_t i = 0; i < config.pools.size(); ++i) {
    const bool is_gutter =
        std::any_of(config.pools.begin(), config.pools.end(),
                    [&](const PoolConfig& pool) { return pool.gutter == config.pools[i].name; });
    if (is_gutter) continue;
    if (only) return std::nullopt;
    only = i;
  }
  return only;
}

std::uint32_t clients_per_worker(const Config& config) {
  return std::max<std::uint32_t>(1, config.clients_max / worker_count(config));
}

// The nodes of a pool and where each is reached, with names in place of which stands what they came
// to.
struct ReachedNodes {
  std::vector<NodeSpec> nodes;
  std::vector<std::string> places;
};

ReachedNodes reached(const PoolConfig& pool, const Names& names) {
  ReachedNodes reached;
  std::set<std::string_view> taken;  // An expanded name may lead to a node that stands here itself.
  for (const NodeSpec& node : pool.nodes) taken.insert(node.address);
  const auto add = [&](NodeSpec node, const std::string& place) {
    reached.nodes.push_back(std::move(node));
    reached.places.push_back(place);
  };
  for (const NodeSpec& node : pool.nodes) {
    const auto found = names.find(node.address);
    const bool is_expanded =
        std::find(pool.expanded.begin(), pool.expanded.end(), node.address) != pool.expanded.end();
    if (!is_expanded) {
      add(node, found == names.end() ? node.address : found->second.chosen);
      continue;
    }
    if (found == names.end()) {
      add({.address = node.address, .name = node.address, .weight = node.weight}, node.address);
      continue;
    }
    for (const std::string& place : found->second.all)
      if (taken.insert(place).second)
        add({.address = place, .name = {}, .weight = node.weight}, place);
  }
  return reached;
}

// The keys of the sealed namespaces, in the order of the snapshot's table.
void derive_keys(const SealMaterial& material, Snapshot& snapshot) {
  if (material.keyring == nullptr) return;
  std::vector<std::string> names;
  for (const Namespace& space : snapshot.namespaces.all()) {
    names.push_back(space.prefix);
    snapshot.has_blind_keys |= space.seal.blind_keys;
  }
  snapshot.keyring = material.keyring;
  snapshot.keys = NamespaceKeys::derive(*material.keyring, names);
  for (const auto& [path, dictionary] : material.dictionaries)
    snapshot.dictionaries.push_back(dictionary);
}

}  // namespace

Config default_config() {
  Config config;
  config.pools.push_back(default_pool());
  return config;
}

Result<Config, std::string> parse_config(std::string_view text, std::string_view file_name) {
  if (text.size() > Config::kFileBytesMax) {
    return unexpected(fmt::format("{}: is too long; give at most {}", file_name,
                                  bytes_text(static_cast<std::int64_t>(Config::kFileBytesMax))));
  }
  Errors errors;
  Draft draft;
  const std::optional<toml::table> document = parse_toml(text, errors);
  if (document) read_draft(*document, draft, errors);
  if (document && draft.pools.empty()) draft.pools.push_back(default_pool_draft());
  if (document) check_draft(draft, errors);
  if (errors.any()) return unexpected(errors.line(file_name));

  const auto place = [&](Position at, std::string_view key, std::string_view name) {
    return fmt::format("{}:{}:{}: {}.{}", file_name, at.line, at.column, key, name);
  };
  Config config = std::move(draft.config);
  config.revocation.jwks_at = place(draft.jwks_at, "revocation", "jwks_file");
  config.keys.at = place(draft.keys_at, "keys", draft.keys_key);
  config.admin.token_at = place(draft.token_file_at, "admin", "token_file");
  config.audit.file_at = place(draft.audit_file_at, "audit", "file");
  config.auth_at = place(draft.auth_file_at, "auth", "file");
  for (PoolDraft& pool : draft.pools) config.pools.push_back(std::move(pool.pool));
  for (TlsDraft& tls : draft.tls) {
    tls.tls.certificate.at = place(tls.certificate_at, tls.key, "certificate");
    tls.tls.key.at = place(tls.key_at, tls.key, "key");
    tls.tls.client_ca.at = place(tls.client_ca_at, tls.key, "client_ca");
    tls.tls.ca.at = place(tls.ca_at, tls.key, "ca");
    config.tls.push_back(std::move(tls.tls));
  }
  for (IntrospectionDraft& draft_of : draft.introspections) {
    IntrospectionConfig& endpoint = draft_of.endpoint;
    endpoint.secret_at = draft_of.bearer_at == Position{}
                             ? place(draft_of.secret_at, draft_of.key, "client_secret_file")
                             : place(draft_of.bearer_at, draft_of.key, "bearer_file");
    endpoint.ca_at = place(draft_of.ca_at, draft_of.key, "ca");
    endpoint.jwks_at = place(draft_of.jwks_at, draft_of.key, "jwks_file");
    config.introspections.push_back(std::move(endpoint));
  }
  for (NamespaceDraft& space : draft.namespaces) {
    space.space.dictionary_at = place(space.dictionary_at, space.key, "dictionary");
    space.space.fill_at = place(space.fill_at, space.key, "fill");
    space.space.seal_until_at = place(space.seal_until_at, space.key, "seal_until");
    config.namespaces.push_back(std::move(space.space));
  }
  for (IdentityDraft& identity : draft.identities) {
    identity.identity.user_at = identity.user_at == Position{}
                                    ? place(identity.name_at, identity.key, "name")
                                    : place(identity.user_at, identity.key, "user");
    config.identities.push_back(std::move(identity.identity));
  }
  return config;
}

Result<std::string, std::string> file_text(const std::string& path) {
  std::string text;
  if (const int error = read_file(path, Config::kFileBytesMax + 1, text); error != 0)
    return unexpected(fmt::format("{}: cannot read: {}", path, std::strerror(error)));
  return text;
}

Result<Config, std::string> read_config(const std::string& path) {
  const auto text = file_text(path);
  if (!text) return unexpected(text.error());
  return parse_config(*text, path);
}

Result<std::shared_ptr<const Snapshot>, std::string> make_snapshot(const Config& config,
                                                                   const Names& names,
                                                                   const SealMaterial& material,
                                                                   const Tallies* before,
                                                                   const AccessMaterial* access) {
  const auto snapshot = std::make_shared<Snapshot>();
  snapshot->allows_flush_all = config.flush_all;
  if (config.flush_all_at) {
    for (const std::string& address : config.listen)
      snapshot->refuses_flush_all.push_back(std::find(config.flush_all_at->begin(),
                                                      config.flush_all_at->end(),
                                                      address) == config.flush_all_at->end());
  }
  for (const PoolConfig& pool : config.pools) {
    ReachedNodes nodes = reached(pool, names);
    Result<Ring, std::string> ring = Ring::make(nodes.nodes, pool.ring);
    if (!ring) return unexpected(fmt::format("pools.{}: {}", pool.name, ring.error()));
    snapshot->pools.push_back({.name = pool.name,
                               .nodes = std::move(nodes.nodes),
                               .ring = *std::move(ring),
                               .options = pool.options,
                               .first_backend = snapshot->backend_count(),
                               .places = std::move(nodes.places),
                               .tls = pool.tls});
    const auto gutter =
        std::find_if(config.pools.begin(), config.pools.end(),
                     [&](const PoolConfig& other) { return other.name == pool.gutter; });
    snapshot->pools.back().options.gutter =
        static_cast<std::uint32_t>(gutter - config.pools.begin());
  }

  snapshot->introspections = material.introspections;
  std::vector<Namespace> namespaces;
  for (const NamespaceConfig& space : config.namespaces) {
    const auto pool =
        std::find_if(config.pools.begin(), config.pools.end(),
                     [&](const PoolConfig& other) { return other.name == space.pool; });
    if (pool == config.pools.end())
      return unexpected(fmt::format("namespaces: there is no pool \"{}\"", space.pool));
    namespaces.push_back({.prefix = space.prefix,
                          .pool = static_cast<std::uint32_t>(pool - config.pools.begin()),
                          .life = space.life,
                          .seal = space.seal,
                          .tokens = space.tokens,
                          .coalesce = space.coalesce});
    if (space.near_bytes > 0) {
      namespaces.back().near = {.bytes = space.near_bytes / worker_count(config),
                                .ttl_ms = space.near_ttl_ms,
                                .cache = static_cast<std::uint16_t>(namespaces.size() - 1)};
      if (snapshot->near_epochs == nullptr)
        snapshot->near_epochs = std::make_shared<NearEpochs>(worker_count(config), random_seed());
    }
    if (const auto found = material.dictionaries.find(space.dictionary);
        found != material.dictionaries.end())
      namespaces.back().seal.dictionary = found->second;
    for (std::size_t i = 0; i < material.introspections.size(); ++i)
      if (material.introspections[i]->name == space.fill)
        namespaces.back().tokens.asks = static_cast<std::uint16_t>(i);
    snapshot->has_revocation |= space.tokens.revokes();
    snapshot->allows_flush_all &= space.flush_all;
  }
  const bool has_default = std::any_of(
      config.namespaces.begin(), config.namespaces.end(),
      [](const NamespaceConfig& space) { return space.prefix.empty() && space.identity.empty(); });
  if (const auto only = only_pool(config); only && !has_default)
    namespaces.push_back({.prefix = {}, .pool = *only, .life = {}, .seal = {}});
  add_owned_namespaces(config, namespaces);
  for (std::size_t i = 0; i < namespaces.size(); ++i)
    namespaces[i].place = static_cast<std::uint16_t>(i);
  snapshot->namespaces = NamespaceTable(std::move(namespaces));
  for (const std::string& address : config.listen)
    snapshot->identifies.push_back(options_of(config, address).identify);
  snapshot->access =
      make_access(config, snapshot->namespaces, access == nullptr ? AccessMaterial() : *access);
  derive_keys(material, *snapshot);
  if (config.audit.is_on()) snapshot->audit = make_audit_rules(config.audit, *snapshot);
  snapshot->limits = config.limits;
  snapshot->limits.clients_per_worker_max = clients_per_worker(config);
  snapshot->coalesce_max_ns = config.coalesce_max_us * 1000;
  snapshot->tallies = make_tallies(worker_count(config), *snapshot, before);
  return std::shared_ptr<const Snapshot>(snapshot);
}

const TlsConfig* tls_named(const Config& config, std::string_view name) noexcept {
  for (const TlsConfig& tls : config.tls)
    if (tls.name == name) return &tls;
  return nullptr;
}

const ListenOptions& options_of(const Config& config, std::string_view address) noexcept {
  static const ListenOptions defaults;
  const auto found = config.listen_options.find(address);
  return found == config.listen_options.end() ? defaults : found->second;
}

std::vector<std::string> warnings(const Config& config, const UserBook* users, UnixTime now) {
  std::vector<std::string> lines;
  for (const NamespaceConfig& space : config.namespaces) {
    if (!space.fill.empty() && !space.seal.blind_keys)
      lines.push_back(space.fill_at +
                      ": leaves tokens readable in the nodes, as parts of their keys; give "
                      "blind_keys = true");
    if (space.seal.mode != SealMode::kMigrate || now < space.seal.migrate_until) continue;
    lines.push_back(space.seal_until_at +
                    ": is over: what is not sealed is a miss; give seal = \"require\", or a later "
                    "time");
  }
  if (users == nullptr) return lines;
  for (const IdentityConfig& identity : config.identities)
    for (const std::string& user : identity.recognition.users)
      if (!users->has(user))
        lines.push_back(fmt::format(
            "{}: {} of identity {} is no user of {}, so nobody logs in as it; give one that is",
            identity.user_at, quoted(user), quoted(identity.name), config.auth_file));
  return lines;
}

std::string control_name(const Config& config) {
  if (config.control) return *config.control;
  constexpr std::size_t kNameBytesMax = 100;  // The kernel's limit is 107 for all of it.
  const std::string& address = config.listen.front();
  const std::size_t cut = address.size() - std::min(address.size(), kNameBytesMax - 11);
  return "@tokenring/" + address.substr(cut);
}

Config config_despite_errors(const std::string& path) {
  Errors errors;
  Draft draft;
  if (const auto text = file_text(path))
    if (const auto document = parse_toml(*text, errors)) read_draft(*document, draft, errors);
  if (draft.config.listen.empty()) draft.config.listen = Config().listen;
  return std::move(draft.config);
}

std::uint32_t worker_count(const Config& config) noexcept {
  if (config.workers > 0) return config.workers;
  cpu_set_t set;
  const std::uint32_t cpus = sched_getaffinity(0, sizeof set, &set) == 0
                                 ? static_cast<std::uint32_t>(CPU_COUNT(&set))
                                 : std::thread::hardware_concurrency();
  return std::clamp<std::uint32_t>(cpus, 1, Config::kWorkersMax);
}

}  // namespace tokenring
