// Dalli, Ruby's client. Source: lib/dalli/ring.rb. A key belongs to the last point at or before its
// hash. On the circle turned round (every position and hash inverted) that is the first point at or
// after it, the classic rule, wrap-around included.
#include <fmt/format.h>

#include <cmath>

#include "ring/continuum.hpp"
#include "ring/digests.hpp"

namespace tokenring {
namespace {

std::uint64_t inverted_crc32(std::string_view text, std::uint64_t) noexcept {
  return ~crc32_ieee(text);
}

std::uint64_t points_of(std::uint32_t weight, std::uint64_t total_weight, std::uint64_t nodes) {
  const std::uint64_t product = nodes * 160 * weight;
  return static_cast<std::uint64_t>(
      std::floor(static_cast<double>(product) / static_cast<double>(total_weight)));
}

}  // namespace

SelectorPtr build_dalli(const Layout& layout) {
  std::vector<Point> points;
  const std::uint64_t total = layout.total_weight();
  for (std::uint32_t node = 0; node < layout.node_count(); ++node) {
    const RingNode& of = layout.nodes[node];
    const std::uint64_t count = points_of(of.weight, total, layout.nodes.size());
    for (std::uint64_t k = 0; k < count; ++k) {
      points.push_back({~sha1_head(fmt::format("{}:{}", of.name, k)), node});
    }
  }
  // Its sort keeps equal points in order and its search ends at the last of them.
  return std::make_shared<Continuum>(std::move(points), Collision::kLast, layout, inverted_crc32);
}

}  // namespace tokenring
