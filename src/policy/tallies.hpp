// Tallies: what is counted by node and by namespace. One set per worker, written by it alone and
// readable by all; a snapshot brings those that fit it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tokenring {

// A number with one writer.
class Tally {
 public:
  Tally() = default;
  Tally(const Tally& other) noexcept : value_(other.get()) {}
  Tally& operator=(const Tally& other) noexcept {
    set(other.get());
    return *this;
  }
  void add(std::uint64_t n = 1) noexcept { set(get() + n); }
  void set(std::uint64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// X(enumerator, name): by namespace.
#define TOKENRING_SPACE_TALLIES(X)       \
  X(kGets, "cmd_get")                    \
  X(kHits, "get_hits")                   \
  X(kMisses, "get_misses")               \
  X(kSets, "cmd_set")                    \
  X(kDeletes, "cmd_delete")              \
  X(kArithmetic, "cmd_arithmetic")       \
  X(kTouches, "cmd_touch")               \
  X(kFailures, "requests_failed")        \
  X(kCapped, "ttl_capped")               \
  X(kCoalesced, "gets_coalesced")        \
  X(kTokenLives, "lives_from_token")     \
  X(kSealed, "sealed")                   \
  X(kOpened, "opened")                   \
  X(kMigrated, "read_unsealed")          \
  X(kOpenAuthFail, "open_auth_fail")     \
  X(kOpenUnknownKey, "open_unknown_key") \
  X(kOpenPlaintext, "open_plaintext")    \
  X(kOpenExpired, "open_expired")        \
  X(kOpenMalformed, "open_malformed")

// X(enumerator, name): by master key, the primary first.
#define TOKENRING_KEY_TALLIES(X) X(kOpened, "opened")

// X(enumerator, name): by node. Those up to kQueuedBytes are of the moment, the others counts.
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
#undef X

#define X(enumerator, name) std::string_view(name),
inline constexpr std::array kSpaceTallyNames = {TOKENRING_SPACE_TALLIES(X)};
inline constexpr std::array kNodeTallyNames = {TOKENRING_NODE_TALLIES(X)};
inline constexpr std::array kKeyTallyNames = {TOKENRING_KEY_TALLIES(X)};
#undef X

// A row of tallies for each of `columns` things, for each worker.
template <typename E, std::size_t N>
class TallyTable {
 public:
  TallyTable() = default;
  TallyTable(std::size_t workers, std::size_t columns)
      : columns_(columns), rows_(workers * columns) {}

  [[nodiscard]] std::size_t columns() const noexcept { return columns_; }
  [[nodiscard]] std::size_t workers() const noexcept {
    return columns_ == 0 ? 0 : rows_.size() / columns_;
  }
  [[nodiscard]] bool has(std::size_t worker, std::size_t column) const noexcept {
    return column < columns_ && worker < workers();
  }
  // The worker's tallies by column; null where it has none.
  [[nodiscard]] std::array<Tally, N>* row(std::size_t worker) noexcept {
    return has(worker, 0) ? &rows_[worker * columns_] : nullptr;
  }
  // REQUIRES: has(worker, column).
  [[nodiscard]] Tally& at(std::size_t worker, std::size_t column, E which) noexcept {
    return rows_[worker * columns_ + column][static_cast<std::size_t>(which)];
  }
  [[nodiscard]] std::uint64_t sum(std::size_t column, std::size_t which) const noexcept {
    std::uint64_t total = 0;
    for (std::size_t i = column; i < rows_.size(); i += columns_) total += rows_[i][which].get();
    return total;
  }

 private:
  std::size_t columns_ = 0;
  std::vector<std::array<Tally, N>> rows_;
};

using SpaceTallies = TallyTable<SpaceTally, kSpaceTallyNames.size()>;
using NodeTallies = TallyTable<NodeTally, kNodeTallyNames.size()>;
using KeyTallies = TallyTable<KeyTally, kKeyTallyNames.size()>;

struct Tallies {
  Tallies(std::size_t workers, std::size_t backends, std::size_t namespaces, std::size_t masters)
      : nodes(workers, backends), spaces(workers, namespaces), keys(workers, masters) {}
  NodeTallies nodes;    // By backend.
  SpaceTallies spaces;  // In the order of NamespaceTable::all().
  KeyTallies keys;      // In the order of Keyring::key_id().
};

}  // namespace tokenring
