// pymemcache: rendezvous hashing. Source: client/rendezvous.py, murmur3.py. Every node scores
// "name-key" and the highest score wins; of equal scores the larger name.
#include <algorithm>

#include "ring/digests.hpp"
#include "ring/selector.hpp"

namespace tokenring {
namespace {

class Rendezvous final : public Selector {
 public:
  explicit Rendezvous(const Layout& layout) {
    for (const RingNode& node : layout.nodes) {
      Murmur3 prefix(0);
      prefix.update(node.name);
      prefix.update("-");
      entries_.push_back({prefix, node.name});
    }
  }

  [[nodiscard]] std::uint32_t owner_of(std::string_view text) const noexcept override {
    std::uint32_t owner = 0;
    owners_of(text, {&owner, 1});
    return owner;
  }

  // One pass over the nodes per owner: each finds the best below the one before.
  std::size_t owners_of(std::string_view text,
                        std::span<std::uint32_t> owners) const noexcept override {
    const std::size_t count = std::min(owners.size(), entries_.size());
    Candidate bound;
    for (std::size_t rank = 0; rank < count; ++rank) {
      Candidate best;
      for (std::size_t i = 0; i < entries_.size(); ++i) {
        Murmur3 score = entries_[i].prefix;
        score.update(text);
        const Candidate candidate{&entries_[i].name, score.finish(), static_cast<std::uint32_t>(i)};
        const bool taken = rank > 0 && !bound.beats(candidate);
        if (!taken && (best.name == nullptr || candidate.beats(best))) best = candidate;
      }
      owners[rank] = best.node;
      bound = best;
    }
    return count;
  }

  [[nodiscard]] std::vector<double> shares() const override {
    return std::vector<double>(entries_.size(), 1.0 / static_cast<double>(entries_.size()));
  }

 private:
  struct Entry {
    Murmur3 prefix;
    std::string name;
  };
  struct Candidate {
    const std::string* name = nullptr;
    std::uint32_t score = 0;
    std::uint32_t node = 0;

    // Names are distinct, so this orders all nodes.
    [[nodiscard]] bool beats(const Candidate& other) const noexcept {
      return score != other.score ? score > other.score : *name > *other.name;
    }
  };

  std::vector<Entry> entries_;
};

}  // namespace

SelectorPtr build_pymemcache(const Layout& layout) {
  return std::make_shared<Rendezvous>(layout);
}

}  // namespace tokenring
