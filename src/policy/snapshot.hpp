// Snapshot: everything a worker needs to know of the configuration, immutable and shared.
//
// Built by the app from the configuration file; a reload builds another. Workers hold it by
// shared_ptr<const Snapshot> and never write to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/access.hpp"
#include "policy/audit_rules.hpp"
#include "policy/introspection.hpp"
#include "policy/namespaces.hpp"
#include "policy/tallies.hpp"
#include "tokenring/keyring.hpp"
#include "tokenring/ring.hpp"

namespace tokenring {

// What a read gets when its node cannot answer.
enum class OnFailure : std::uint8_t {
  kMiss,   // The key is a miss; the reply keeps its normal form.
  kError,  // The whole reply is one SERVER_ERROR line.
};

// What serves a key while its node is down.
enum class OnNodeDown : std::uint8_t {
  kAsFailure,  // Nothing: as on_failure has it.
  kMiss,       // Nothing: a read is a miss.
  kError,      // Nothing: a read is an error.
  kFailover,   // The next nodes on the ring.
  kGutter,     // Another pool.
};

// What becomes of the items of a node that comes back after writes or deletes went past it.
enum class OnRejoin : std::uint8_t { kKeep, kFlush };

struct PoolOptions {
  static constexpr std::uint32_t kFailoverNodesMax = 8;

  std::uint32_t links_per_node = 1;  // Connections per node and worker.
  std::int64_t connect_timeout_ms = 500;
  std::int64_t request_timeout_ms = 1000;
  std::uint32_t timeouts_to_down = 3;  // In a row, without a word from the node between them.
  std::int64_t retry_max_ms = 500;     // The longest pause between tries to connect.
  OnFailure on_failure = OnFailure::kMiss;
  OnNodeDown on_node_down = OnNodeDown::kAsFailure;
  std::uint32_t failover_nodes = 1;  // How many nodes may stand in, the first that is up.
  std::int64_t failover_ttl_s = 10;  // Cap on lives of what a stand-in is given; 0: none.
  std::uint32_t gutter = 0;          // kGutter: index of the pool.
  OnRejoin on_rejoin = OnRejoin::kKeep;
};

// Nodes with a ring over them. Its backends are numbered from first_backend on, in node order.
struct Pool {
  std::string name;
  std::vector<NodeSpec> nodes;
  Ring ring;
  PoolOptions options;
  std::uint32_t first_backend = 0;
  // Where each node is reached at present, by node; empty: at its address. A node keeps its links
  // when a new snapshot has the same pool, node and place.
  std::vector<std::string> places = {};
  std::string tls = {};  // What its links are set up by; a link of another one is another link.

  [[nodiscard]] std::string_view place_of(std::size_t node) const noexcept {
    return node < places.size() ? places[node] : nodes[node].address;
  }
  // Between which a key's group is named: its hash tag's ends, "{}" where the ring heeds none.
  [[nodiscard]] std::string_view group_ends() const noexcept {
    return ring.hash_tag().empty() ? std::string_view("{}") : ring.hash_tag();
  }
};

// Every bound has a name and a unit. Defaults are those of conf/tokenring.toml.
struct Limits {
  std::size_t value_bytes_max = std::size_t{1} << 20;  // 1 KiB to 128 MiB.
  std::uint32_t requests_per_client_max = 1024;        // In flight, per client.
  std::uint32_t pending_per_backend_max = 65536;       // In flight, per node and worker.
  std::size_t output_bytes_per_client_max = std::size_t{4} << 20;  // Unsent; then we stop reading.
  std::uint32_t clients_per_worker_max = 65536;
  std::uint32_t in_flight_per_worker_max = 1U << 20;               // Requests that nodes owe.
  std::size_t buffer_bytes_per_worker_max = std::size_t{1} << 30;  // Half-read and unsent bytes.
  std::int64_t idle_timeout_s = 0;           // A client without a request; 0: off.
  std::int64_t request_read_timeout_s = 60;  // One request on its way in; 0: off.
  std::int64_t reply_write_timeout_s = 60;   // A client that takes nothing; 0: off.
  std::uint32_t handshakes_max = 1024;       // Of TLS, under way, of all clients.
  std::int64_t handshake_timeout_ms = 5'000;
};

struct Snapshot {
  std::vector<Pool> pools;
  NamespaceTable namespaces;  // Each namespace names its pool by index.
  Limits limits;
  std::int64_t coalesce_max_ns = 200'000;  // 0: never wait for more requests.
  // Who may flush_all: nobody, or the clients of all addresses but these (by place in `listen`).
  bool allows_flush_all = true;
  std::vector<bool> refuses_flush_all = {};

  [[nodiscard]] bool may_flush_all(std::uint16_t address) const noexcept {
    return allows_flush_all && !(address < refuses_flush_all.size() && refuses_flush_all[address]);
  }
  // Who clients are and what they may; null: nobody asks.
  std::shared_ptr<const AccessTable> access = nullptr;
  std::vector<bool> identifies = {};  // By place in `listen`: whether clients there are asked.

  [[nodiscard]] bool asks_who(std::uint16_t address) const noexcept {
    return address < identifies.size() && identifies[address];
  }
  // Where a namespace is sealed: the operator's keys, and those that are derived of them for the
  // namespaces, in the order of NamespaceTable::all().
  std::shared_ptr<const Keyring> keyring = nullptr;
  std::shared_ptr<const NamespaceKeys> keys = nullptr;
  Dictionaries dictionaries = {};
  bool has_blind_keys = false;
  bool has_revocation = false;
  std::shared_ptr<NearEpochs> near_epochs = nullptr;  // Where a namespace has `near`.
  // Who is asked of tokens that no node has, in the order of the file.
  std::vector<std::shared_ptr<const Introspection>> introspections = {};
  std::shared_ptr<Tallies> tallies = nullptr;         // Null: nothing is tallied.
  std::shared_ptr<const AuditRules> audit = nullptr;  // Null: the audit log is off.

  [[nodiscard]] std::uint32_t backend_count() const noexcept {
    return pools.empty()
               ? 0
               : pools.back().first_backend + static_cast<std::uint32_t>(pools.back().nodes.size());
  }
};

// Tallies for what `snapshot` has. What `before` (or null) counts of it goes on being counted.
[[nodiscard]] std::shared_ptr<Tallies> make_tallies(std::size_t workers, const Snapshot& snapshot,
                                                    const Tallies* before);

}  // namespace tokenring
