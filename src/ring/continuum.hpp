// Continuum: the classic ring. Points on a circle of 32 bits, each with its node; a key belongs to
// the first point at or after its hash.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ring/selector.hpp"

namespace tokenring {

struct Point {
  std::uint32_t position;
  std::uint32_t node;
};

// Which of the nodes that drew one position keeps it, in the order of the configuration.
enum class Collision : std::uint8_t {
  kFirst,   // As C's stable sorts leave it.
  kLast,    // As a map that is overwritten, or a search from above.
  kByName,  // xmemcached sorts them by name and takes number `position` modulo their count.
};

// Appends the points of node `node`: four per string `name-k`, for k from 0 to strings - 1.
void add_md5_points(std::vector<Point>& points, std::string_view name, std::uint32_t node,
                    std::uint32_t strings);
// Appends one point per string, hashed with `hash`.
void add_hashed_points(std::vector<Point>& points, std::string_view name, std::uint32_t node,
                       std::uint32_t strings, HashFunction hash);

// How many strings a node of a ring weighted like libmemcached's has: 40 on average, in float32 and
// rounded down, so that 25 equal nodes get 39 each.
[[nodiscard]] std::uint32_t weighted_strings(std::uint32_t weight, std::uint64_t total_weight,
                                             std::uint32_t nodes) noexcept;

class Continuum final : public Selector {
 public:
  // REQUIRES: points not empty.
  Continuum(std::vector<Point> points, Collision collision, const Layout& layout,
            HashFunction hash);

  [[nodiscard]] std::uint32_t owner_of(std::string_view text) const noexcept override;
  std::size_t owners_of(std::string_view text,
                        std::span<std::uint32_t> owners) const noexcept override;
  [[nodiscard]] std::vector<double> shares() const override;

 private:
  // The index of the first point at or after `position`; points_.size() - 1, the first point's
  // copy, when there is none.
  [[nodiscard]] std::size_t successor(std::uint32_t position) const noexcept;

  // Ascending and distinct, then a copy of the first with the highest position, which every search
  // ends at.
  std::vector<Point> points_;
  // For each value of a position's top bits, the first point that has them or higher ones. About as
  // many as points, so that a search looks at one or two.
  std::vector<std::uint32_t> starts_;
  unsigned shift_ = 0;
  std::uint32_t node_count_;
  HashFunction hash_;
  std::uint64_t seed_;
};

}  // namespace tokenring
