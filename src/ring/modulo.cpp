// Hash modulo the number of nodes: libmemcached's and twemproxy's modula, gomemcache's CRC-32.
#include <algorithm>

#include "ring/digests.hpp"
#include "ring/selector.hpp"

namespace tokenring {
namespace {

class Modulo final : public Selector {
 public:
  // `seats` has a node's index as often as its weight says.
  Modulo(std::vector<std::uint32_t> seats, const Layout& layout, HashFunction hash)
      : seats_(std::move(seats)), nodes_(layout.node_count()), hash_(hash), seed_(layout.seed) {}

  [[nodiscard]] std::uint32_t owner_of(std::string_view text) const noexcept override {
    return seats_[hash_(text, seed_) % seats_.size()];
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
    std::vector<double> shares(nodes_, 0.0);
    for (const std::uint32_t node : seats_)
      shares[node] += 1.0 / static_cast<double>(seats_.size());
    return shares;
  }

 private:
  std::vector<std::uint32_t> seats_;
  std::uint32_t nodes_;
  HashFunction hash_;
  std::uint64_t seed_;
};

SelectorPtr build(const Layout& layout, HashFunction hash, bool weighted) {
  std::vector<std::uint32_t> seats;
  for (std::uint32_t node = 0; node < layout.node_count(); ++node) {
    seats.insert(seats.end(), weighted ? layout.nodes[node].weight : 1, node);
  }
  return std::make_shared<Modulo>(std::move(seats), layout, hash);
}

// gomemcache copies a key into a buffer of 256 bytes and hashes what fitted.
std::uint64_t crc32_of_256(std::string_view text, std::uint64_t) noexcept {
  return crc32_ieee(text.substr(0, 256));
}

}  // namespace

SelectorPtr build_modula(const Layout& layout) {
  return build(layout, layout.hash_function, false);
}

SelectorPtr build_weighted_modula(const Layout& layout) {
  return build(layout, layout.hash_function, true);
}

SelectorPtr build_crc32_mod(const Layout& layout) {
  return build(layout, crc32_of_256, false);
}

}  // namespace tokenring
