// Last.fm's original libketama. Source: ketama.c ketama_create_continuum().
#include <cmath>

#include "ring/continuum.hpp"

namespace tokenring {
namespace {

// The share is a float, the product a double that is rounded to float before floorf().
std::uint32_t strings_of(std::uint32_t weight, std::uint64_t total_weight, std::uint32_t nodes) {
  const float share = static_cast<float>(weight) / static_cast<float>(total_weight);
  const double product = static_cast<double>(share) * 40.0 * static_cast<double>(nodes);
  return static_cast<std::uint32_t>(std::floor(static_cast<float>(product)));
}

}  // namespace

SelectorPtr build_lastfm(const Layout& layout) {
  std::vector<Point> points;
  const std::uint64_t total = layout.total_weight();
  for (std::uint32_t node = 0; node < layout.node_count(); ++node) {
    const RingNode& of = layout.nodes[node];
    add_md5_points(points, of.name, node, strings_of(of.weight, total, layout.node_count()));
  }
  return std::make_shared<Continuum>(std::move(points), Collision::kFirst, layout,
                                     layout.hash_function);
}

}  // namespace tokenring
