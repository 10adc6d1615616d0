// Snapshot: everything a worker needs to know of the configuration, immutable and shared.
//
// Built by the app from the configuration file; a reload builds another. Workers hold it by
// shared_ptr<const Snapshot> and never write to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/namespaces.hpp"
#include "tokenring/ring.hpp"

namespace tokenring {

// What a read gets when its node cannot answer.
enum class OnFailure : std::uint8_t {
  kMiss,   // The key is a miss; the reply keeps its normal form.
  kError,  // The whole reply is one SERVER_ERROR line.
};

struct PoolOptions {
  std::uint32_t links_per_node = 1;  // Connections per node and worker.
  std::int64_t connect_timeout_ms = 500;
  std::int64_t request_timeout_ms = 1000;
  OnFailure on_failure = OnFailure::kMiss;
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

  [[nodiscard]] std::string_view place_of(std::size_t node) const noexcept {
    return node < places.size() ? places[node] : nodes[node].address;
  }
};

// Every bound has a name and a unit. Defaults are those of conf/tokenring.toml.
struct Limits {
  std::size_t value_bytes_max = std::size_t{1} << 20;  // 1 KiB to 128 MiB.
  std::uint32_t requests_per_client_max = 1024;        // In flight, per client.
  std::uint32_t pending_per_backend_max = 65536;       // In flight, per node and worker.
  std::size_t output_bytes_per_client_max = std::size_t{4} << 20;  // Unsent; then we stop reading.
  std::uint32_t clients_per_worker_max = 65536;
};

struct Snapshot {
  std::vector<Pool> pools;
  NamespaceTable namespaces;  // Each namespace names its pool by index.
  Limits limits;

  [[nodiscard]] std::uint32_t backend_count() const noexcept {
    return pools.empty()
               ? 0
               : pools.back().first_backend + static_cast<std::uint32_t>(pools.back().nodes.size());
  }
};

}  // namespace tokenring
