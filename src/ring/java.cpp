// Java's clients: spymemcached, EVCache (which is spymemcached with other names) and xmemcached.
// Sources: KetamaNodeLocator.java, KetamaMemcachedSessionLocator.java.
#include "ring/continuum.hpp"

namespace tokenring {
namespace {

constexpr std::uint32_t kPoints = 160;

// Under MD5 ("KETAMA_HASH") every string makes four points, under any other hash one.
void add_points(std::vector<Point>& points, const Layout& layout, std::uint32_t node,
                std::uint32_t count) {
  const std::string& name = layout.nodes[node].name;
  if (layout.hash == KeyHash::kMd5) {
    add_md5_points(points, name, node, count / 4);
  } else {
    add_hashed_points(points, name, node, count, layout.hash_function);
  }
}

}  // namespace

SelectorPtr build_spymemcached(const Layout& layout) {
  std::vector<Point> points;
  for (std::uint32_t node = 0; node < layout.node_count(); ++node) {
    add_points(points, layout, node, kPoints);
  }
  return std::make_shared<Continuum>(std::move(points), Collision::kLast, layout,
                                     layout.hash_function);
}

SelectorPtr build_xmemcached(const Layout& layout) {
  std::vector<Point> points;
  for (std::uint32_t node = 0; node < layout.node_count(); ++node) {
    add_points(points, layout, node, kPoints * layout.nodes[node].weight);
  }
  return std::make_shared<Continuum>(std::move(points), Collision::kByName, layout,
                                     layout.hash_function);
}

}  // namespace tokenring
