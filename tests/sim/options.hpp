// What a simulated world is like, and the configurations that it goes through.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "policy/snapshot.hpp"
#include "random.hpp"

namespace tokenring::sim {

inline constexpr std::size_t kValueBytesMax = 4096;

struct Options {
  std::uint64_t seed = 1;
  std::uint32_t nodes = 3;
  std::uint32_t clients = 4;
  std::uint32_t links_per_node = 1;
  bool faults = false;  // Nodes die, freeze and refuse; connections break.
  bool lies = false;    // A node drops, doubles and makes up replies.
  bool failure_is_miss = true;
  bool coalesce = false;       // Gets in flight share requests.
  bool stand_ins = false;      // Others stand in for nodes that are down: failover or a gutter.
  bool flush = false;          // flush_all is allowed.
  bool reloads = false;        // Rules and numbers of links change.
  bool node_changes = false;   // With reloads: nodes come and go.
  bool tight = false;          // Too little room for requests in flight.
  bool time_limits = false;    // Clients are closed that idle or are slow.
  bool sealed = false;         // The capped namespace is; with reloads its keys rotate.
  bool blinded = false;        // And nodes do not see its keys.
  bool drains = false;         // Clients are asked to come again.
  bool asks = false;           // Clients are asked who they are; see who.hpp.
  std::uint32_t requests = 0;  // Of each client, about.

  [[nodiscard]] static Options of(std::uint64_t seed);
  [[nodiscard]] std::string text() const;
};

// Addresses of the nodes: those of the pool, then those of the gutter.
inline constexpr std::uint32_t kGutterNodes = 1;
[[nodiscard]] std::string address_of(std::uint32_t node);

// The first configuration: all nodes, and what the options say.
[[nodiscard]] std::shared_ptr<const Snapshot> first_snapshot(const Options& options);
// Another one, within what the options allow.
[[nodiscard]] std::shared_ptr<const Snapshot> next_snapshot(const Options& options, Random& random);

}  // namespace tokenring::sim
