// [pools.NAME]: its keys and those of its nodes.

#include <fmt/format.h>

#include "app/address.hpp"
#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr Range kLinksPerNode{1, 64};
constexpr Range kTimeoutMs{1, 600'000};
constexpr Range kResolveMs{1'000, 86'400'000};
constexpr Range kWeight{1, 65535};
constexpr Range kTimeoutsToDown{1, 1000};
constexpr Range kRetryMs{10, 60'000};
constexpr Range kFailoverNodes{1, PoolOptions::kFailoverNodesMax};
constexpr Range kFailoverTtlS{0, 30 * 24 * 3600};
constexpr std::size_t kPoolsMax = 256;
constexpr std::size_t kPoolNameBytesMax = 64;
constexpr std::size_t kNodeNameBytesMax = 255;
constexpr std::size_t kSeedBytesMax = 255;

constexpr std::string_view kNodesForm =
    "at least one node, such as \"10.0.0.1:11211\" or \"embedded\"";

struct NodeDraft {
  NodeSpec node;
  bool addressed = false;
  bool is_name = false;
  bool expands = false;
};

void read_address(const Value& value, NodeDraft& draft) {
  draft.addressed = true;
  const std::optional<std::string> text =
      value.text("an address, such as \"10.0.0.1:11211\", or a table with one");
  if (!text) return;
  const auto address = parse_node_address(*text);
  if (!address) value.fail(address.error());
  draft.is_name = address && address->is_name;
  draft.node.address = *text;
}

void read_node_name(const Value& value, NodeDraft& draft) {
  const std::optional<std::string> name = value.text();
  if (!name) return;
  if (name->empty() || name->size() > kNodeNameBytesMax || !is_printable(*name)) {
    value.fail(fmt::format("{} is not a name; give 1 to {} characters of ASCII without spaces",
                           quoted(*name), kNodeNameBytesMax));
  }
  draft.node.name = *name;
}

constexpr std::array kNodeRows{
    Row<NodeDraft>{"address", read_address},
    Row<NodeDraft>{"weight",
                   [](const Value& value, NodeDraft& draft) {
                     take(value.integer(kWeight), draft.node.weight);
                   }},
    Row<NodeDraft>{"name", read_node_name},
    Row<NodeDraft>{"expand", [](const Value& value,
                                NodeDraft& draft) { take(value.boolean(), draft.expands); }},
};

void check_expand(const Value& value, const NodeDraft& draft) {
  if (!draft.expands || !draft.addressed) return;
  if (!draft.is_name) {
    value.fail(fmt::format("{} is no DNS name, so there is nothing to expand; leave expand out",
                           quoted(draft.node.address)));
  } else if (!draft.node.name.empty()) {
    value.fail("is expanded to several nodes, which cannot have one name; leave name out");
  }
}

void read_nodes(const Value& value, PoolDraft& draft) {
  draft.nodes_at = value.position();
  for (const Value& element : value.elements(kNodesForm)) {
    NodeDraft node;
    if (element.is_table()) {
      read_table(element, kNodeRows, node);
      if (!node.addressed)
        element.fail("has no address; give { address = \"10.0.0.1:11211\" } at least");
      check_expand(element, node);
      if (node.expands) draft.pool.expanded.push_back(node.node.address);
    } else {
      read_address(element, node);
    }
    draft.pool.nodes.push_back(node.node);
    draft.node_at.push_back(element.position());
  }
}

// The words of a list separated by ", ". Borrows from it.
std::vector<std::string_view> words_of(std::string_view list) {
  std::vector<std::string_view> words;
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(", "), list.size());
    words.push_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 2, list.size()));
  }
  return words;
}

void read_placement(const Value& value, PoolDraft& draft) {
  const std::string names = placement_names();
  take_word(value, words_of(names), placement_named, draft.pool.ring.placement);
}

void read_hash(const Value& value, PoolDraft& draft) {
  draft.hash_at = value.position();
  const std::string names = key_hash_names();
  take_word(value, words_of(names), key_hash_named, draft.pool.ring.hash);
}

void read_hash_tag(const Value& value, PoolDraft& draft) {
  const std::optional<std::string> tag = value.text();
  if (!tag) return;
  if (!tag->empty() && (tag->size() != 2 || !is_printable(*tag))) {
    value.fail(fmt::format(
        "{} is not a hash tag; give the two characters that enclose it, such as \"{{}}\", or \"\" "
        "for none",
        quoted(*tag)));
  }
  draft.pool.ring.hash_tag = *tag;
}

void read_seed(const Value& value, PoolDraft& draft) {
  draft.seed_at = value.position();
  const std::optional<std::string> seed = value.text();
  if (!seed) return;
  if (seed->size() > kSeedBytesMax)
    value.fail(fmt::format("is too long; give at most {} bytes", kSeedBytesMax));
  draft.pool.ring.seed = *seed;
}

void read_on_failure(const Value& value, PoolDraft& draft) {
  constexpr std::array<std::string_view, 2> kWords{"miss", "error"};
  const auto named = [&](std::string_view word) -> std::optional<OnFailure> {
    if (word == kWords[0]) return OnFailure::kMiss;
    if (word == kWords[1]) return OnFailure::kError;
    return std::nullopt;
  };
  take_word(value, kWords, named, draft.pool.options.on_failure);
}

void read_on_node_down(const Value& value, PoolDraft& draft) {
  constexpr std::array<std::string_view, 4> kWords{"error", "miss", "failover", "gutter"};
  constexpr std::array kMeanings{OnNodeDown::kError, OnNodeDown::kMiss, OnNodeDown::kFailover,
                                 OnNodeDown::kGutter};
  const auto named = [&](std::string_view word) -> std::optional<OnNodeDown> {
    for (std::size_t i = 0; i < kWords.size(); ++i)
      if (word == kWords[i]) return kMeanings[i];
    return std::nullopt;
  };
  draft.on_node_down_at = value.position();
  take_word(value, kWords, named, draft.pool.options.on_node_down);
}

void read_on_rejoin(const Value& value, PoolDraft& draft) {
  constexpr std::array<std::string_view, 2> kWords{"keep", "flush"};
  const auto named = [&](std::string_view word) -> std::optional<OnRejoin> {
    if (word == kWords[0]) return OnRejoin::kKeep;
    if (word == kWords[1]) return OnRejoin::kFlush;
    return std::nullopt;
  };
  draft.on_rejoin_at = value.position();
  take_word(value, kWords, named, draft.pool.options.on_rejoin);
}

void read_gutter(const Value& value, PoolDraft& draft) {
  draft.gutter_at = value.position();
  take(value.text(), draft.pool.gutter);
}

void read_pool_tls(const Value& value, PoolDraft& draft) {
  draft.tls_at = value.position();
  take(value.text(), draft.pool.tls);
}

constexpr std::array kPoolRows{
    Row<PoolDraft>{"nodes", read_nodes},
    Row<PoolDraft>{"placement", read_placement},
    Row<PoolDraft>{"hash", read_hash},
    Row<PoolDraft>{"hash_tag", read_hash_tag},
    Row<PoolDraft>{"seed", read_seed},
    Row<PoolDraft>{"links_per_node",
                   [](const Value& value, PoolDraft& draft) {
                     take(value.integer(kLinksPerNode), draft.pool.options.links_per_node);
                   }},
    Row<PoolDraft>{"connect_timeout",
                   [](const Value& value, PoolDraft& draft) {
                     take(value.duration(TimeUnit::kMillisecond, kTimeoutMs),
                          draft.pool.options.connect_timeout_ms);
                   }},
    Row<PoolDraft>{"request_timeout",
                   [](const Value& value, PoolDraft& draft) {
                     take(value.duration(TimeUnit::kMillisecond, kTimeoutMs),
                          draft.pool.options.request_timeout_ms);
                   }},
    Row<PoolDraft>{"on_failure", read_on_failure},
    Row<PoolDraft>{"on_node_down", read_on_node_down},
    Row<PoolDraft>{"failover_nodes",
                   [](const Value& value, PoolDraft& draft) {
                     draft.failover_nodes_at = value.position();
                     take(value.integer(kFailoverNodes), draft.pool.options.failover_nodes);
                   }},
    Row<PoolDraft>{"failover_ttl",
                   [](const Value& value, PoolDraft& draft) {
                     draft.failover_ttl_at = value.position();
                     take(value.duration(TimeUnit::kSecond, kFailoverTtlS),
                          draft.pool.options.failover_ttl_s);
                   }},
    Row<PoolDraft>{"gutter", read_gutter},
    Row<PoolDraft>{"on_rejoin", read_on_rejoin},
    Row<PoolDraft>{"tls", read_pool_tls},
    Row<PoolDraft>{"timeouts_to_down",
                   [](const Value& value, PoolDraft& draft) {
                     take(value.integer(kTimeoutsToDown), draft.pool.options.timeouts_to_down);
                   }},
    Row<PoolDraft>{"retry_max",
                   [](const Value& value, PoolDraft& draft) {
                     take(value.duration(TimeUnit::kMillisecond, kRetryMs),
                          draft.pool.options.retry_max_ms);
                   }},
    Row<PoolDraft>{"resolve_every",
                   [](const Value& value, PoolDraft& draft) {
                     take(value.duration(TimeUnit::kMillisecond, kResolveMs),
                          draft.pool.resolve_every_ms);
                   }},
};

}  // namespace

void read_pools(const Value& value, Draft& draft) {
  for (const Value::Member& member : value.members()) {
    PoolDraft pool;
    pool.pool.name = member.name;
    pool.key = member.value.key();
    pool.at = member.value.position();
    if (member.name.empty() || member.name.size() > kPoolNameBytesMax ||
        !is_printable(member.name)) {
      value.errors().add(
          member.at, pool.key,
          fmt::format("is not a name for a pool; give 1 to {} characters of ASCII without spaces",
                      kPoolNameBytesMax));
    }
    read_table(member.value, kPoolRows, pool);
    if (!pool.pool.tls.empty())
      draft.tls_uses.push_back(
          {.key = pool.key + ".tls", .at = pool.tls_at, .name = pool.pool.tls, .is_server = false});
    draft.pools.push_back(std::move(pool));
  }
  if (draft.pools.size() > kPoolsMax) {
    value.errors().add(draft.pools[kPoolsMax].at, draft.pools[kPoolsMax].key,
                       fmt::format("is one too many; give at most {} pools", kPoolsMax));
  }
}

void append_pool_keys(std::vector<std::string>& keys) {
  append_keys("pools.NAME.", kPoolRows, keys);
  append_keys("pools.NAME.nodes[].", kNodeRows, keys);
}

}  // namespace tokenring
