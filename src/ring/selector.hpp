// Selector: one way of choosing a node, and what each family needs to build one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ring/hashes.hpp"

namespace tokenring {

// Immutable; shared by the copies of a Ring, by any number of threads.
class Selector {
 public:
  Selector() = default;
  Selector(const Selector&) = delete;
  Selector& operator=(const Selector&) = delete;
  virtual ~Selector() = default;

  // As in Ring. `text` is what of the key is hashed: any bytes, also none.
  [[nodiscard]] virtual std::uint32_t owner_of(std::string_view text) const noexcept = 0;
  virtual std::size_t owners_of(std::string_view text,
                                std::span<std::uint32_t> owners) const noexcept = 0;
  [[nodiscard]] virtual std::vector<double> shares() const = 0;
};

using SelectorPtr = std::shared_ptr<const Selector>;

struct RingNode {
  std::string name;          // On the ring; distinct within a layout.
  std::uint32_t weight = 1;  // At least 1.
};

// What Ring::make() has checked and the families build from. At least two nodes.
struct Layout {
  std::vector<RingNode> nodes;
  KeyHash hash = KeyHash::kXxh3;
  HashFunction hash_function = nullptr;  // That hash, in the placement's dialect.
  std::uint64_t seed = 0;

  [[nodiscard]] std::uint32_t node_count() const noexcept {
    return static_cast<std::uint32_t>(nodes.size());
  }
  [[nodiscard]] std::uint64_t total_weight() const noexcept {
    std::uint64_t total = 0;
    for (const RingNode& node : nodes) total += node.weight;
    return total;
  }
};

// The families, one file each; the table of placements says who uses which.
SelectorPtr build_ketama(const Layout& layout);
SelectorPtr build_libmemcached_weighted(const Layout& layout);
SelectorPtr build_libmemcached_ketama(const Layout& layout);
SelectorPtr build_twemproxy(const Layout& layout);
SelectorPtr build_lastfm(const Layout& layout);
SelectorPtr build_spymemcached(const Layout& layout);
SelectorPtr build_xmemcached(const Layout& layout);
SelectorPtr build_mcproxy_ring(const Layout& layout);
SelectorPtr build_mcproxy_md5_ring(const Layout& layout);
SelectorPtr build_mcproxy_jump(const Layout& layout);
SelectorPtr build_dalli(const Layout& layout);
SelectorPtr build_pymemcache(const Layout& layout);
SelectorPtr build_modula(const Layout& layout);
SelectorPtr build_weighted_modula(const Layout& layout);
SelectorPtr build_crc32_mod(const Layout& layout);

}  // namespace tokenring
