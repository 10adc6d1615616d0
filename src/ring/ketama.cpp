// ketama, our own default: a circle of 2^18 equal slots, each owned by one node.
//
// Every node draws a number for every slot, from nothing but its own name; a slot goes to the node
// with the lowest cost, -ln(draw) / weight (weighted rendezvous hashing). So each node's share is
// proportional to its weight, whatever the weights are; a node that comes takes exactly the slots
// it now wins, one that goes leaves exactly its own; and the order of the nodes does not matter. A
// key is looked up by the top bits of its hash in a table that is as large for 4 nodes as for 200.
//
// Why not points on a circle: to be as even at 10 nodes as this is, each would need 29,000 of them,
// times its weight; or else fewer when another node is heavier, and then one weight moves every
// key. What slots cost is evenness at many nodes: the largest share is about 1.06 of the mean at
// 100 nodes and 1.2 at 1000.
//
// The layout is a format that a fleet of proxies shares:
//
//   slot = XXH3_64(key) >> 46
//   draw = output number `slot`, counted from 0, of SplitMix64 seeded with XXH3_64(ring name)
//   cost = -ln(((draw >> 11) + 0.5) / 2^53) / weight
//
// Logarithms of different C libraries may differ in the last bit. That decides a slot only where
// two costs agree to 16 digits, about once in 10^10 tables.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ring/digests.hpp"
#include "ring/selector.hpp"

namespace tokenring {
namespace {

constexpr unsigned kSlotBits = 18;
constexpr std::size_t kSlots = std::size_t{1} << kSlotBits;

// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
constexpr std::uint64_t splitmix64(std::uint64_t seed, std::uint64_t index) noexcept {
  std::uint64_t z = seed + (index + 1) * 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

struct Drawer {
  std::uint64_t seed;
  double weight;
};

// What a node bids for a slot. The lowest cost wins, then the higher draw, then the node named
// first in the configuration: the last happens to nodes of equal seeds only.
struct Bid {
  double cost = std::numeric_limits<double>::infinity();
  std::uint64_t draw = 0;
  std::uint32_t node = 0;

  [[nodiscard]] bool beats(const Bid& other) const noexcept {
    if (cost != other.cost) return cost < other.cost;
    if (draw != other.draw) return draw > other.draw;
    return node < other.node;
  }
};

double uniform(std::uint64_t draw) noexcept {
  return (static_cast<double>(draw >> 11) + 0.5) * 0x1p-53;
}

Bid bid(const Drawer& drawer, std::uint32_t node, std::uint64_t draw) noexcept {
  return {-std::log(uniform(draw)) / drawer.weight, draw, node};
}

// `Node` is the narrowest type that numbers the nodes: 256 KiB up to 256 nodes, 512 KiB beyond.
template <typename Node>
class SlotTable final : public Selector {
 public:
  explicit SlotTable(const Layout& layout) : owners_(kSlots) {
    for (const RingNode& node : layout.nodes) {
      drawers_.push_back({xxh3(node.name), static_cast<double>(node.weight)});
    }
    const bool weighted = std::any_of(drawers_.begin(), drawers_.end(), [&](const Drawer& drawer) {
      return drawer.weight != drawers_.front().weight;
    });
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
      owners_[slot] = static_cast<Node>(weighted ? winner(slot) : highest_draw(slot));
    }
  }

  [[nodiscard]] std::uint32_t owner_of(std::string_view text) const noexcept override {
    return owners_[slot_of(text)];
  }

  // One pass over the nodes per owner: each finds the best bid below the one before.
  std::size_t owners_of(std::string_view text,
                        std::span<std::uint32_t> owners) const noexcept override {
    const std::size_t count = std::min(owners.size(), drawers_.size());
    const std::size_t slot = slot_of(text);
    Bid bound;
    for (std::size_t rank = 0; rank < count; ++rank) {
      Bid best;
      for (std::size_t node = 0; node < drawers_.size(); ++node) {
        const std::uint64_t draw = splitmix64(drawers_[node].seed, slot);
        const Bid next = bid(drawers_[node], static_cast<std::uint32_t>(node), draw);
        if (rank > 0 && !bound.beats(next)) continue;
        if (next.beats(best)) best = next;
      }
      owners[rank] = best.node;
      bound = best;
    }
    return count;
  }

  [[nodiscard]] std::vector<double> shares() const override {
    std::vector<double> shares(drawers_.size(), 0.0);
    for (const Node node : owners_) shares[node] += 1.0 / static_cast<double>(kSlots);
    return shares;
  }

 private:
  [[nodiscard]] static std::size_t slot_of(std::string_view text) noexcept {
    return static_cast<std::size_t>(xxh3(text) >> (64 - kSlotBits));
  }

  [[nodiscard]] std::uint32_t winner(std::size_t slot) const noexcept {
    Bid best;
    for (std::size_t node = 0; node < drawers_.size(); ++node) {
      const Drawer& drawer = drawers_[node];
      const std::uint64_t draw = splitmix64(drawer.seed, slot);
      // -ln(u) is at least 1 - u: most bids are lost without a logarithm. The factor allows for
      // rounding.
      if ((1 - uniform(draw)) * 0.999999 > best.cost * drawer.weight) continue;
      const Bid next = bid(drawer, static_cast<std::uint32_t>(node), draw);
      if (next.beats(best)) best = next;
    }
    return best.node;
  }

  // With equal weights the lowest cost is the highest draw, and no logarithm is needed.
  [[nodiscard]] std::uint32_t highest_draw(std::size_t slot) const noexcept {
    std::uint32_t best = 0;
    std::uint64_t best_draw = splitmix64(drawers_[0].seed, slot);
    for (std::size_t node = 1; node < drawers_.size(); ++node) {
      const std::uint64_t draw = splitmix64(drawers_[node].seed, slot);
      if (draw > best_draw) {
        best = static_cast<std::uint32_t>(node);
        best_draw = draw;
      }
    }
    return best;
  }

  std::vector<Node> owners_;  // By slot.
  std::vector<Drawer> drawers_;
};

}  // namespace

SelectorPtr build_ketama(const Layout& layout) {
  if (layout.nodes.size() <= 256) return std::make_shared<SlotTable<std::uint8_t>>(layout);
  return std::make_shared<SlotTable<std::uint16_t>>(layout);
}

}  // namespace tokenring
