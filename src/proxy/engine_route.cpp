// Where a key goes: its namespace, pool and node, and who stands in for a node that is down.
#include <array>
#include <span>

#include "proxy/engine.hpp"

namespace tokenring {

Target Engine::target_of(const Namespace& space, std::string_view route) noexcept {
  const Pool& pool = snapshot_->pools[space.pool];
  return {&space, &pool, route, pool.first_backend + pool.ring.owner_of(route)};
}

// Several links of one node share its load by client, so that a client's own requests stay in
// order.
Link& Engine::link_of(std::uint32_t backend, ClientId id) noexcept {
  const BackendLinks& links = backend_links_[backend];
  return links_[link_table_[links.first + (links.count == 1 ? 0 : id.index % links.count)]];
}

// The first of the nodes that may stand in for the key's own, which is down; null where there is
// none. A cas is never moved: its number means nothing to another node. Nor is a delete whose node
// would bring the item back. Where tokens have rules nobody stands in: what is revoked or used up
// at one node must not be good at another.
Link* Engine::stand_in_for(const Target& target, const Request& request, ClientId id) noexcept {
  const PoolOptions& options = target.pool->options;
  if (request.has_cas || target.space->has_token_rules) return nullptr;
  if (request.verb() == Verb::kDelete && options.on_rejoin == OnRejoin::kKeep) return nullptr;
  if (options.on_node_down == OnNodeDown::kGutter) {
    const Pool& gutter = snapshot_->pools[options.gutter];
    Link& link = link_of(gutter.first_backend + gutter.ring.owner_of(target.route), id);
    return link.takes_requests() ? &link : nullptr;
  }
  if (options.on_node_down != OnNodeDown::kFailover) return nullptr;
  std::array<std::uint32_t, 1 + PoolOptions::kFailoverNodesMax> owners;
  const std::size_t found = target.pool->ring.owners_of(
      target.route, std::span(owners).first(1 + options.failover_nodes));
  for (std::size_t i = 1; i < found; ++i) {
    Link& link = link_of(target.pool->first_backend + owners[i], id);
    if (link.takes_requests()) return &link;
  }
  return nullptr;
}

bool Engine::is_overloaded(const Link& link) const noexcept {
  const Limits& limits = snapshot_->limits;
  return link.slots >= limits.pending_per_backend_max ||
         in_flight_ >= limits.in_flight_per_worker_max ||
         slots_.live() / 2 >= options_.requests_max ||
         pool_.bytes_lent() >= limits.buffer_bytes_per_worker_max;
}

}  // namespace tokenring
