// libmemcached and what copied its points: a float32 share of 160 points per node, four to an MD5.
// Sources: libmemcached/hosts.cc update_continuum(), twemproxy nc_ketama.c, libketama ketama.c.
#include <algorithm>

#include "ring/continuum.hpp"

namespace tokenring {
namespace {

constexpr std::uint32_t kUnweightedPoints = 100;

std::vector<Point> weighted_points(const Layout& layout) {
  std::vector<Point> points;
  const std::uint64_t total = layout.total_weight();
  for (std::uint32_t node = 0; node < layout.node_count(); ++node) {
    const RingNode& of = layout.nodes[node];
    add_md5_points(points, of.name, node, weighted_strings(of.weight, total, layout.node_count()));
  }
  return points;
}

}  // namespace

SelectorPtr build_libmemcached_weighted(const Layout& layout) {
  return std::make_shared<Continuum>(weighted_points(layout), Collision::kFirst, layout,
                                     layout.hash_function);
}

// server_add() turns weighted points on for the whole ring once one server has a weight above 1.
// The key hash stays what it was.
SelectorPtr build_libmemcached_ketama(const Layout& layout) {
  const bool weighted = std::any_of(layout.nodes.begin(), layout.nodes.end(),
                                    [](const RingNode& node) { return node.weight > 1; });
  if (weighted) return build_libmemcached_weighted(layout);
  std::vector<Point> points;
  for (std::uint32_t node = 0; node < layout.node_count(); ++node) {
    add_hashed_points(points, layout.nodes[node].name, node, kUnweightedPoints,
                      layout.hash_function);
  }
  return std::make_shared<Continuum>(std::move(points), Collision::kFirst, layout,
                                     layout.hash_function);
}

}  // namespace tokenring
