// memcached's built-in proxy. Sources: proxy_ring_hash.c, proxy_jump_hash.c. Its rings know no
// weights, and the hash of the keys is chosen apart from how points are made ("omode").
#include <algorithm>

#include "ring/continuum.hpp"

namespace tokenring {
namespace {

constexpr std::uint32_t kPoints = 160;

// Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm" (2014).
std::uint32_t jump(std::uint64_t hash, std::uint32_t nodes) noexcept {
  std::int64_t bucket = 0;
  std::int64_t next = 0;
  while (next < nodes) {
    bucket = next;
    hash = hash * 2862933555777941757ULL + 1;
    next = static_cast<std::int64_t>(static_cast<double>(bucket + 1) *
                                     (0x1p31 / static_cast<double>((hash >> 33) + 1)));
  }
  return static_cast<std::uint32_t>(bucket);
}

class Jump final : public Selector {
 public:
  explicit Jump(const Layout& layout)
      : nodes_(layout.node_count()), hash_(layout.hash_function), seed_(layout.seed) {}

  [[nodiscard]] std::uint32_t owner_of(std::string_view text) const noexcept override {
    return jump(hash_(text, seed_), nodes_);
  }

  std::size_t owners_of(std::string_view text,
                        std::span<std::uint32_t> owners) const noexcept override {
    const std::size_t count = std::min<std::size_t>(owners.size(), nodes_);
    std::uint32_t node = owner_of(text);
    for (std::uint32_t& owner : owners.first(count)) {
      owner = node;
      node = node + 1 == nodes_ ? 0 : node + 1;
    }
    return count;
  }

  [[nodiscard]] std::vector<double> shares() const override {
    return std::vector<double>(nodes_, 1.0 / nodes_);
  }

 private:
  std::uint32_t nodes_;
  HashFunction hash_;
  std::uint64_t seed_;
};

}  // namespace

SelectorPtr build_mcproxy_ring(const Layout& layout) {
  std::vector<Point> points;
  const HashFunction xxh3 = row_of(KeyHash::kXxh3).c;
  for (std::uint32_t node = 0; node < layout.node_count(); ++node) {
    add_hashed_points(points, layout.nodes[node].name, node, kPoints, xxh3);
  }
  return std::make_shared<Continuum>(std::move(points), Collision::kFirst, layout,
                                     layout.hash_function);
}

SelectorPtr build_mcproxy_md5_ring(const Layout& layout) {
  std::vector<Point> points;
  for (std::uint32_t node = 0; node < layout.node_count(); ++node) {
    add_md5_points(points, layout.nodes[node].name, node, kPoints / 4);
  }
  return std::make_shared<Continuum>(std::move(points), Collision::kFirst, layout,
                                     layout.hash_function);
}

SelectorPtr build_mcproxy_jump(const Layout& layout) {
  return std::make_shared<Jump>(layout);
}

}  // namespace tokenring
