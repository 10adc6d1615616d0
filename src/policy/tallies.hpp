// Tallies: what is counted by node, namespace and key. One set per worker, written by it alone and
// readable by all; a snapshot brings those that fit it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "policy/latency_steps.hpp"

namespace tokenring {

// A number with one writer.
class Tally {
 public:
  void add(std::uint64_t n = 1) noexcept { set(get() + n); }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// X(enumerator, name): by namespace. kNearBytes is of the moment, the others are counts.
#define TOKENRING_SPACE_TALLIES(X)       \
  X(kNearBytes, "near_bytes")            \
  X(kNearHits, "near_hits")              \
  X(kNearMisses, "near_misses")          \
  X(kGets, "cmd_get")                    \
  X(kHits, "get_hits")                   \
  X(kMisses, "get_misses")               \
  X(kSets, "cmd_set")                    \
  X(kDeletes, "cmd_delete")              \
  X(kArithmetic, "cmd_arithmetic")       \
  X(kTouches, "cmd_touch")               \
  X(kTouchHits, "touch_hits")            \
  X(kTouchMisses, "touch_misses")        \
  X(kFailures, "requests_failed")        \
  X(kCapped, "ttl_capped")               \
  X(kByDefault, "capped_by_default")     \
  X(kByCap, "capped_by_cap")             \
  X(kByMaxAge, "capped_by_max_age")      \
  X(kByJitter, "capped_by_jitter")       \
  X(kByFailover, "capped_by_failover")   \
  X(kByToken, "capped_by_token")         \
  X(kByNegative, "capped_by_negative")   \
  X(kCoalesced, "gets_coalesced")        \
  X(kTokenLives, "lives_from_token")     \
  X(kSealed, "sealed")                   \
  X(kOpened, "opened")                   \
  X(kMigrated, "read_unsealed")          \
  X(kOpenAuthFail, "open_auth_fail")     \
  X(kOpenUnknownKey, "open_unknown_key") \
  X(kOpenPlaintext, "open_plaintext")    \
  X(kOpenExpired, "open_expired")        \
  X(kOpenMalformed, "open_malformed")    \
  X(kRevocations, "revocations")         \
  X(kRevoked, "read_revoked")            \
  X(kMarkersUnread, "markers_unread")    \
  X(kStaleFills, "stale_fills")          \
  X(kConsumed, "consumed")               \
  X(kLostRaces, "consumed_by_others")    \
  X(kReplays, "replays_refused")         \
  X(kForgotten, "replays_forgotten")     \
  X(kHerdWaits, "gets_waited")           \
  X(kNegative, "negative_entries")       \
  X(kOverQuota, "negatives_refused")     \
  X(kIntrospected, "introspected")       \
  X(kUnanswered, "introspection_misses")

// X(enumerator, name): by introspection endpoint. Those up to kBreakerOpen are of the moment; the
// others say what became of each request.
#define TOKENRING_INTROSPECTION_TALLIES(X) \
  X(kInFlight, "in_flight")                \
  X(kWaiting, "waiting")                   \
  X(kBreakerOpen, "breaker_open")          \
  X(kActive, "active")                     \
  X(kInactive, "inactive")                 \
  X(kUnreachable, "unreachable")           \
  X(kUntrusted, "untrusted")               \
  X(kTimeout, "timeout")                   \
  X(kRefused, "refused")                   \
  X(kServerError, "server_error")          \
  X(kTooLarge, "too_large")                \
  X(kMalformed, "malformed")               \
  X(kBadSignature, "bad_signature")        \
  X(kNotAsked, "not_asked")                \
  X(kShared, "shared")

// X(enumerator, name): by master key, the primary first.
#define TOKENRING_KEY_TALLIES(X) X(kOpened, "opened")

// X(enumerator, name): by node. Those up to kResponseUs are of the moment, the others counts.
#define TOKENRING_NODE_TALLIES(X)     \
  X(kUpLinks, "links_up")             \
  X(kInFlight, "in_flight")           \
  X(kQueuedBytes, "queued_bytes")     \
  X(kResponseUs, "response_us")       \
  X(kRequests, "requests")            \
  X(kConnects, "connects")            \
  X(kLost, "connections_lost")        \
  X(kConnectErrors, "connect_errors") \
  X(kTimeouts, "timeouts")            \
  X(kBadReplies, "bad_replies")       \
  X(kRefused, "refused_while_down")   \
  X(kFlushes, "rejoin_flushes")

#define X(enumerator, name) enumerator,
enum class SpaceTally : std::uint8_t { TOKENRING_SPACE_TALLIES(X) };
enum class NodeTally : std::uint8_t { TOKENRING_NODE_TALLIES(X) };
enum class KeyTally : std::uint8_t { TOKENRING_KEY_TALLIES(X) };
enum class IntrospectionTally : std::uint8_t { TOKENRING_INTROSPECTION_TALLIES(X) };
#undef X
enum class LatencyStep : std::uint8_t {};  // See latency_steps.hpp.
enum class TimeTally : std::uint8_t {};    // See TimeCounts, there.
inline constexpr SpaceTally kFirstSpaceCount = SpaceTally::kNearHits;
inline constexpr NodeTally kFirstNodeCount = NodeTally::kRequests;

#define X(enumerator, name) std::string_view(name),
inline constexpr std::array kSpaceTallyNames = {TOKENRING_SPACE_TALLIES(X)};
inline constexpr std::array kNodeTallyNames = {TOKENRING_NODE_TALLIES(X)};
inline constexpr std::array kKeyTallyNames = {TOKENRING_KEY_TALLIES(X)};
inline constexpr std::array kIntrospectionTallyNames = {TOKENRING_INTROSPECTION_TALLIES(X)};
#undef X

// Tallies for each of some things (columns), for each worker. A column is known by what it counts:
// the next table takes it over as it is, so that workers may go from one to the other at different
// moments and no count is lost or begins anew.
template <typename E, std::size_t N>
class TallyTable {
 public:
  struct alignas(64) Cell {  // No two workers share a cache line.
    std::array<Tally, N> tallies;
    void add(E which, std::uint64_t n = 1) noexcept {
      tallies[static_cast<std::size_t>(which)].add(n);
    }
    void set(E which, std::uint64_t n) noexcept { tallies[static_cast<std::size_t>(which)].set(n); }
  };

  TallyTable() = default;
  // `names`: what the columns count, in their order. `before`: whose columns are taken over, or
  // null.
  TallyTable(std::size_t workers, std::vector<std::string> names, const TallyTable* before)
      : workers_(workers), names_(std::move(names)) {
    std::unordered_map<std::string_view, std::shared_ptr<Column>> known;
    if (before != nullptr && before->workers_ == workers)
      for (std::size_t i = 0; i < before->names_.size(); ++i)
        known.emplace(before->names_[i], before->columns_[i]);
    for (const std::string& name : names_) {
      // Each is taken once, should two have one name.
      auto found = known.extract(name);
      columns_.push_back(found ? std::move(found.mapped()) : std::make_shared<Column>(workers));
    }
  }

  [[nodiscard]] std::size_t columns() const noexcept { return columns_.size(); }
  [[nodiscard]] const std::string& name(std::size_t column) const noexcept {
    return names_[column];
  }
  [[nodiscard]] std::size_t workers() const noexcept { return workers_; }
  [[nodiscard]] bool has(std::size_t worker, std::size_t column) const noexcept {
    return column < columns_.size() && worker < workers_;
  }
  // REQUIRES: has(worker, column). Only that worker writes to it.
  [[nodiscard]] Cell& at(std::size_t worker, std::size_t column) noexcept {
    return (*columns_[column])[worker];
  }
  [[nodiscard]] std::uint64_t sum(std::size_t column, std::size_t which) const noexcept {
    std::uint64_t total = 0;
    for (const Cell& cell : *columns_[column]) total += cell.tallies[which].get();
    return total;
  }
  [[nodiscard]] std::uint64_t sum(std::size_t column, E which) const noexcept {
    return sum(column, static_cast<std::size_t>(which));
  }

 private:
  using Column = std::vector<Cell>;  // By worker.

  std::size_t workers_ = 0;
  std::vector<std::string> names_;
  std::vector<std::shared_ptr<Column>> columns_;
};

using SpaceTallies = TallyTable<SpaceTally, kSpaceTallyNames.size()>;
using NodeTallies = TallyTable<NodeTally, kNodeTallyNames.size()>;
using KeyTallies = TallyTable<KeyTally, kKeyTallyNames.size()>;
using IntrospectionTallies = TallyTable<IntrospectionTally, kIntrospectionTallyNames.size()>;
using LatencyTallies = TallyTable<LatencyStep, kLatencySteps>;
using TimeTallies = TallyTable<TimeTally, TimeCounts::kCount>;

struct Tallies {
  NodeTallies nodes;         // By backend; named by pool, name and address, wherever that leads.
  SpaceTallies spaces;       // In the order of NamespaceTable::all(); named by prefix.
  KeyTallies keys;           // In the order of Keyring::key_id(); named by that.
  LatencyTallies latencies;  // Of requests that a node answered; by namespace, as `spaces`.
  // In the order of Snapshot::introspections; named by name. The one thread that asks writes them.
  IntrospectionTallies introspections = {};
  // For histograms by namespace: the first kTimedSpaces of the file, by what their label is, and
  // one of all others. None where there is but one namespace of all keys.
  TimeTallies times = {};
  std::vector<std::uint16_t> time_columns = {};  // By namespace, as `spaces`.

  static constexpr std::size_t kTimedSpaces = 64;
  static constexpr std::string_view kOtherSpaces = "other";
};

// The label of a namespace: its prefix, or "-" for the empty one. Different for each.
[[nodiscard]] std::string namespace_label(std::string_view prefix);

}  // namespace tokenring
