// Metrics by node, namespace and key, and latencies.

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "app/metrics.hpp"

namespace tokenring {

namespace {

using Type = Exposition::Type;

// A count of one column. A family begins where its name is not empty, and goes on in the rows
// behind.
template <typename E>
struct TallyRow {
  E tally;
  std::string_view family;
  std::string_view help;
  Exposition::Label label = {};
};
using NodeRow = TallyRow<NodeTally>;
using SpaceRow = TallyRow<SpaceTally>;

constexpr std::array kNodeRows{
    NodeRow{NodeTally::kRequests, "tokenring_node_requests_total", "Requests sent to the node."},
    NodeRow{NodeTally::kConnects, "tokenring_node_connects_total",
            "Connections made to the node; all after the first are reconnects."},
    NodeRow{NodeTally::kConnectErrors,
            "tokenring_node_errors_total",
            "What went wrong with the node: tries to connect, connections, requests.",
            {"reason", "connect"}},
    NodeRow{NodeTally::kLost, {}, {}, {"reason", "connection_lost"}},
    NodeRow{NodeTally::kTimeouts, {}, {}, {"reason", "timeout"}},
    NodeRow{NodeTally::kBadReplies, {}, {}, {"reason", "bad_reply"}},
    NodeRow{NodeTally::kRefused, "tokenring_node_refused_while_down_total",
            "Requests for the node that were not sent, because it was down."},
    NodeRow{NodeTally::kFlushes, "tokenring_node_rejoin_flushes_total",
            "Times that the node was flushed at its return."},
};

constexpr std::array kSpaceRows{
    SpaceRow{SpaceTally::kGets,
             "tokenring_namespace_requests_total",
             "Requests of clients, a get once for each key.",
             {"command", "get"}},
    SpaceRow{SpaceTally::kSets, {}, {}, {"command", "set"}},
    SpaceRow{SpaceTally::kDeletes, {}, {}, {"command", "delete"}},
    SpaceRow{SpaceTally::kArithmetic, {}, {}, {"command", "arithmetic"}},
    SpaceRow{SpaceTally::kTouches, {}, {}, {"command", "touch"}},
    SpaceRow{SpaceTally::kHits,
             "tokenring_namespace_gets_total",
             "Gets that a node answered, by result.",
             {"result", "hit"}},
    SpaceRow{SpaceTally::kMisses, {}, {}, {"result", "miss"}},
    SpaceRow{SpaceTally::kTouchHits,
             "tokenring_namespace_touches_total",
             "Touches that a node answered, by result.",
             {"result", "hit"}},
    SpaceRow{SpaceTally::kTouchMisses, {}, {}, {"result", "miss"}},
    SpaceRow{SpaceTally::kNearHits, "tokenring_namespace_near_hits_total",
             "Gets that were answered with what this proxy had kept."},
    SpaceRow{SpaceTally::kNearMisses, "tokenring_namespace_near_misses_total",
             "Gets that could have been, had it been there."},
    SpaceRow{SpaceTally::kFailures, "tokenring_namespace_requests_failed_total",
             "Requests that no node answered; a read may have been a miss to its client."},
    SpaceRow{SpaceTally::kCoalesced, "tokenring_namespace_gets_coalesced_total",
             "Gets that shared another one's request."},
    SpaceRow{
        SpaceTally::kByDefault,
        "tokenring_namespace_ttl_capped_total",
        "Lives that were shortened, by the rule; one that its token shortens further is in both.",
        {"reason", "default"}},
    SpaceRow{SpaceTally::kByCap, {}, {}, {"reason", "cap"}},
    SpaceRow{SpaceTally::kByMaxAge, {}, {}, {"reason", "max_age"}},
    SpaceRow{SpaceTally::kByJitter, {}, {}, {"reason", "jitter"}},
    SpaceRow{SpaceTally::kByFailover, {}, {}, {"reason", "failover"}},
    SpaceRow{SpaceTally::kByToken, {}, {}, {"reason", "token"}},
    SpaceRow{SpaceTally::kByNegative, {}, {}, {"reason", "negative"}},
    SpaceRow{SpaceTally::kCapped, {}, {}, {}},  // Is told by its reasons.
    SpaceRow{SpaceTally::kTokenLives, "tokenring_namespace_lives_from_token_total",
             "Lives that a value's own end decided."},
    SpaceRow{SpaceTally::kSealed, "tokenring_namespace_sealed_total", "Values that were sealed."},
    SpaceRow{SpaceTally::kOpened, "tokenring_namespace_opened_total", "Values that opened."},
    SpaceRow{SpaceTally::kMigrated, "tokenring_namespace_read_unsealed_total",
             "Values that were read unsealed while the namespace migrates."},
    SpaceRow{SpaceTally::kOpenAuthFail,
             "tokenring_namespace_open_failures_total",
             "Values that did not open, each a miss to its client; expired is the normal end.",
             {"reason", "auth_fail"}},
    SpaceRow{SpaceTally::kOpenUnknownKey, {}, {}, {"reason", "unknown_key"}},
    SpaceRow{SpaceTally::kOpenPlaintext, {}, {}, {"reason", "plaintext"}},
    SpaceRow{SpaceTally::kOpenExpired, {}, {}, {"reason", "expired"}},
    SpaceRow{SpaceTally::kOpenMalformed, {}, {}, {"reason", "malformed"}},
    SpaceRow{SpaceTally::kRevocations, "tokenring_namespace_revocations_total",
             "Groups that were revoked."},
    SpaceRow{SpaceTally::kRevoked, "tokenring_namespace_read_revoked_total",
             "Values that were found and not given out, for they were revoked."},
    SpaceRow{SpaceTally::kMarkersUnread, "tokenring_namespace_markers_unread_total",
             "Markers of groups that did not open; all of the group is a miss."},
    SpaceRow{SpaceTally::kStaleFills, "tokenring_namespace_stale_fills_total",
             "Writes that were dropped, for they began before a delete or revocation."},
    SpaceRow{SpaceTally::kConsumed, "tokenring_namespace_consumed_total",
             "Values that were read once, and are used up."},
    SpaceRow{SpaceTally::kLostRaces, "tokenring_namespace_consumed_by_others_total",
             "Reads of such values that somebody else was faster at."},
    SpaceRow{SpaceTally::kReplays, "tokenring_namespace_replays_refused_total",
             "Adds of what had been added before."},
    SpaceRow{SpaceTally::kForgotten, "tokenring_namespace_replays_forgotten_total",
             "Adds that were stored though the same had been added before and was to be known "
             "still."},
    SpaceRow{SpaceTally::kHerdWaits, "tokenring_namespace_gets_waited_total",
             "Gets that waited for what another one fetched."},
    SpaceRow{SpaceTally::kNegative, "tokenring_namespace_negative_entries_total",
             "Values that say that a token is not active."},
    SpaceRow{
        SpaceTally::kOverQuota, "tokenring_namespace_negatives_refused_total",
        "Such values that were not stored, and misses that were not asked elsewhere, for their "
        "identity was over its quota."},
    SpaceRow{SpaceTally::kIntrospected,
             "tokenring_namespace_introspected_total",
             "Gets of what was missing that were asked elsewhere, by what came of it.",
             {"result", "answer"}},
    SpaceRow{SpaceTally::kUnanswered, {}, {}, {"result", "miss"}},
};

template <typename E, std::size_t N>
bool has_row(const std::array<TallyRow<E>, N>& rows, std::size_t tally) noexcept {
  return std::any_of(rows.begin(), rows.end(), [&](const TallyRow<E>& row) {
    return static_cast<std::size_t>(row.tally) == tally;
  });
}

// Calls tell(tally, label) for each row, and for those of `names` from `first` on that have none.
template <typename E, std::size_t N>
void tell_rows(const std::array<TallyRow<E>, N>& rows, std::span<const std::string_view> names,
               std::size_t first, std::string_view thing, Exposition& out, auto&& tell) {
  for (const TallyRow<E>& row : rows) {
    if (!row.family.empty()) out.family(row.family, Type::kCounter, row.help);
    tell(static_cast<std::size_t>(row.tally), row.label);
  }
  for (std::size_t i = first; i < names.size(); ++i) {
    if (has_row(rows, i)) continue;
    out.family(fmt::format("tokenring_{}_{}_total", thing, names[i]), Type::kCounter,
               fmt::format("{} of stats {}s.", names[i], thing));
    tell(i, Exposition::Label());
  }
}

// Calls visit(pool, node's name, backend).
template <typename Visit>
void for_each_node(const Snapshot& snapshot, Visit&& visit) {
  for (const Pool& pool : snapshot.pools)
    for (std::size_t n = 0; n < pool.nodes.size(); ++n)
      visit(pool, pool.nodes[n].shown(), pool.first_backend + n);
}

void tell_node_state(const Snapshot& snapshot, const NodeTallies& tallies, Exposition& out) {
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    out.family(name, Type::kGauge, help);
    for_each_node(snapshot, [&](const Pool& pool, std::string_view node, std::size_t backend) {
      out.sample({{"pool", pool.name}, {"node", node}}, value(pool, backend));
    });
  };
  gauge("tokenring_node_up", "1 where at least one worker is connected to the node.",
        [&](const Pool&, std::size_t backend) {
          return std::uint64_t{tallies.sum(backend, NodeTally::kUpLinks) > 0 ? 1U : 0U};
        });
  gauge("tokenring_node_links", "Connections that all workers should have to the node.",
        [&](const Pool& pool, std::size_t) {
          return std::uint64_t{pool.options.links_per_node} * tallies.workers();
        });
  gauge(
      "tokenring_node_links_up", "Connections to the node that are up.",
      [&](const Pool&, std::size_t backend) { return tallies.sum(backend, NodeTally::kUpLinks); });
  gauge(
      "tokenring_node_in_flight", "Requests that the node owes an answer.",
      [&](const Pool&, std::size_t backend) { return tallies.sum(backend, NodeTally::kInFlight); });
  gauge("tokenring_node_queued_bytes", "Bytes for the node that the kernel did not take yet.",
        [&](const Pool&, std::size_t backend) {
          return tallies.sum(backend, NodeTally::kQueuedBytes);
        });
  gauge("tokenring_node_response_seconds",
        "How long the node took to answer lately: a moving average of each link, and their mean.",
        [&](const Pool& pool, std::size_t backend) {
          const std::uint64_t links = pool.options.links_per_node * tallies.workers();
          return static_cast<double>(tallies.sum(backend, NodeTally::kResponseUs)) / 1e6 /
                 static_cast<double>(std::max<std::uint64_t>(1, links));
        });
}

void tell_pools(const Snapshot& snapshot, const NodeTallies& tallies, Exposition& out) {
  out.family("tokenring_pool_nodes", Type::kGauge, "Nodes of the pool.");
  for (const Pool& pool : snapshot.pools)
    out.sample({{"pool", pool.name}}, std::uint64_t{pool.nodes.size()});
  out.family("tokenring_pool_nodes_up", Type::kGauge, "Nodes of the pool that are up.");
  for (const Pool& pool : snapshot.pools)
    out.sample({{"pool", pool.name}}, nodes_up(pool, tallies));
}

// Ends of the buckets of latencies, in steps of two from 8.192 us to 2.1 s. Each is an end of
// LatencyHistogram's own, so that no count is on the wrong side of one.
constexpr std::size_t kBoundCount = TimeCounts::kBounds;
constexpr std::uint64_t kFirstBoundNs = TimeCounts::kFirstBoundNs;

constexpr std::array<double, kBoundCount> kBounds = [] {
  std::array<double, kBoundCount> bounds{};
  for (std::size_t i = 0; i < kBoundCount; ++i)
    bounds[i] = static_cast<double>(kFirstBoundNs << i) / 1e9;
  return bounds;
}();

std::size_t bound_of(std::size_t bucket) noexcept {
  std::size_t bound = 0;
  while (bound < kBoundCount && LatencyHistogram::end_ns(bucket) > kFirstBoundNs << bound) ++bound;
  return bound;
}

void tell_histogram(const CounterBoard& board, std::size_t kind, auto histogram_of,
                    Exposition& out) {
  std::array<std::uint64_t, kBoundCount + 1> counts{};
  std::uint64_t sum_ns = 0;
  for (const LatencyBook& book : board.latencies) {
    const LatencyHistogram& histogram = histogram_of(book)[kind];
    sum_ns += histogram.sum_ns();
    for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i)
      counts[bound_of(i)] += histogram.count_at(i);
  }
  out.histogram({{"command", kLatencyKindNames[kind]}}, kBounds, counts,
                static_cast<double>(sum_ns) / 1e9);
}

// Namespaces with a near cache only.
void tell_near(const Snapshot& snapshot, std::span<const std::string> labels, Exposition& out) {
  if (snapshot.near_epochs == nullptr) return;
  const auto spaces = snapshot.namespaces.all();
  const auto gauge = [&](std::string_view name, std::string_view help, auto value) {
    out.family(name, Type::kGauge, help);
    for (std::size_t n = 0; n < spaces.size(); ++n)
      if (spaces[n].near.is_on()) out.sample({{"namespace", labels[n]}}, value(n));
  };
  gauge("tokenring_namespace_near_bytes", "Memory that the near cache's values occupy.",
        [&](std::size_t n) { return snapshot.tallies->spaces.sum(n, SpaceTally::kNearBytes); });
  gauge("tokenring_namespace_near_staleness_seconds",
        "How old what is given out from the near cache may be, at most.",
        [&](std::size_t n) { return static_cast<double>(spaces[n].near.ttl_ms) / 1000; });
}

}  // namespace

void tell_nodes(const Snapshot& snapshot, Exposition& out) {
  if (snapshot.tallies == nullptr) return;
  const NodeTallies& tallies = snapshot.tallies->nodes;
  tell_pools(snapshot, tallies, out);
  tell_node_state(snapshot, tallies, out);
  tell_rows(
      kNodeRows, kNodeTallyNames, static_cast<std::size_t>(kFirstNodeCount), "node", out,
      [&](std::size_t tally, Exposition::Label label) {
        for_each_node(snapshot, [&](const Pool& pool, std::string_view node, std::size_t backend) {
          out.sample({{"pool", pool.name}, {"node", node}, label}, tallies.sum(backend, tally));
        });
      });
}

void tell_namespaces(const Snapshot& snapshot, Exposition& out) {
  if (snapshot.tallies == nullptr) return;
  std::vector<std::string> labels;
  for (const Namespace& space : snapshot.namespaces.all())
    labels.push_back(namespace_label(space.prefix));
  tell_rows(
      kSpaceRows, kSpaceTallyNames, static_cast<std::size_t>(kFirstSpaceCount), "namespace", out,
      [&](std::size_t tally, Exposition::Label label) {
        if (static_cast<SpaceTally>(tally) == SpaceTally::kCapped) return;
        for (std::size_t n = 0; n < labels.size(); ++n)
          out.sample({{"namespace", labels[n]}, label}, snapshot.tallies->spaces.sum(n, tally));
      });
  tell_near(snapshot, labels, out);
}

void tell_keys(const Snapshot& snapshot, Exposition& out) {
  const Keyring* const keyring = snapshot.keyring.get();
  if (keyring == nullptr || snapshot.tallies == nullptr) return;
  out.family("tokenring_key_info", Type::kGauge,
             "Always 1: the master keys; the primary one seals.");
  for (std::size_t n = 0; n < keyring->master_count(); ++n)
    out.sample({{"key_id", fmt::format("{:08x}", keyring->key_id(n))},
                {"role", n == 0 ? "primary" : "master"}},
               std::uint64_t{1});
  out.family("tokenring_key_opened_total", Type::kCounter,
             "Values that a key opened; one that opens none any more may go.");
  for (std::size_t n = 0; n < keyring->master_count(); ++n)
    out.sample({{"key_id", fmt::format("{:08x}", keyring->key_id(n))}},
               snapshot.tallies->keys.sum(n, KeyTally::kOpened));
}

void tell_latencies(const CounterBoard& board, Exposition& out) {
  out.family("tokenring_request_duration_seconds", Type::kHistogram,
             "From a request's arrival to its reply's departure.");
  for (std::size_t kind = 0; kind < kLatencyKindNames.size(); ++kind)
    tell_histogram(
        board, kind, [](const LatencyBook& book) -> const auto& { return book.total; }, out);
  out.family("tokenring_proxy_duration_seconds", Type::kHistogram,
             "The part of it that was spent in the proxy, not waiting for a node.");
  for (std::size_t kind = 0; kind < kLatencyKindNames.size(); ++kind)
    tell_histogram(
        board, kind, [](const LatencyBook& book) -> const auto& { return book.own; }, out);
}

void tell_times(const Snapshot& snapshot, Exposition& out) {
  if (snapshot.tallies == nullptr || snapshot.tallies->times.columns() == 0) return;
  const TimeTallies& times = snapshot.tallies->times;
  const auto tell = [&](std::string_view family, std::string_view help, std::size_t first) {
    out.family(family, Type::kHistogram, help);
    for (std::size_t column = 0; column < times.columns(); ++column) {
      std::array<std::uint64_t, kBoundCount + 1> counts{};
      for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = times.sum(column, first + i);
      out.histogram({{"namespace", times.name(column)}}, kBounds, counts,
                    static_cast<double>(times.sum(column, first + TimeCounts::kSum)) / 1e9);
    }
  };
  tell("tokenring_namespace_request_duration_seconds",
       "From a request's arrival to its reply's departure, by namespace.", 0);
  tell("tokenring_namespace_proxy_duration_seconds",
       "The part of it that was spent in the proxy, by namespace.", TimeCounts::kOwn);
}

}  // namespace tokenring
