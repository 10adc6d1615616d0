#include "ring/continuum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "base/assert.hpp"
#include "ring/digests.hpp"

namespace tokenring {
namespace {

constexpr std::uint32_t kTop = std::numeric_limits<std::uint32_t>::max();

// The one of `rivals`, which share a position, that keeps it.
Point keeper(std::span<Point> rivals, Collision collision, const Layout& layout) {
  switch (collision) {
    case Collision::kFirst:
      return rivals.front();
    case Collision::kLast:
      return rivals.back();
    case Collision::kByName:
      std::sort(rivals.begin(), rivals.end(), [&](const Point& a, const Point& b) {
        return layout.nodes[a.node].name < layout.nodes[b.node].name;
      });
      return rivals[rivals.front().position % rivals.size()];
  }
  TR_ASSERT(false);
}

// Sorts by position and leaves one point per position.
void settle(std::vector<Point>& points, Collision collision, const Layout& layout) {
  std::stable_sort(points.begin(), points.end(),
                   [](const Point& a, const Point& b) { return a.position < b.position; });
  auto kept = points.begin();
  for (auto first = points.begin(); first != points.end();) {
    const auto last = std::find_if(
        first, points.end(), [&](const Point& point) { return point.position != first->position; });
    *kept++ = keeper({first, last}, collision, layout);
    first = last;
  }
  points.erase(kept, points.end());
}

}  // namespace

void add_md5_points(std::vector<Point>& points, std::string_view name, std::uint32_t node,
                    std::uint32_t strings) {
  for (std::uint32_t k = 0; k < strings; ++k) {
    for (const std::uint32_t word : md5_words(fmt::format("{}-{}", name, k))) {
      points.push_back({word, node});
    }
  }
}

void add_hashed_points(std::vector<Point>& points, std::string_view name, std::uint32_t node,
                       std::uint32_t strings, HashFunction hash) {
  for (std::uint32_t k = 0; k < strings; ++k) {
    const std::uint64_t drawn = hash(fmt::format("{}-{}", name, k), 0);
    points.push_back({static_cast<std::uint32_t>(drawn), node});
  }
}

std::uint32_t weighted_strings(std::uint32_t weight, std::uint64_t total_weight,
                               std::uint32_t nodes) noexcept {
  // Every step rounds to float32, which is what makes 25 * 0.04 fall short of 1. The originals also
  // add 1e-10, which at this size no float notices.
  const float share = static_cast<float>(weight) / static_cast<float>(total_weight);
  const float strings = share * 40.0F * static_cast<float>(nodes);
  return static_cast<std::uint32_t>(strings);
}

Continuum::Continuum(std::vector<Point> points, Collision collision, const Layout& layout,
                     HashFunction hash)
    : points_(std::move(points)),
      node_count_(layout.node_count()),
      hash_(hash),
      seed_(layout.seed) {
  TR_ASSERT(!points_.empty());
  settle(points_, collision, layout);
  const auto bits = static_cast<unsigned>(std::bit_width(points_.size()));
  shift_ = 32 - bits;
  starts_.reserve((std::size_t{1} << bits) + 1);
  std::uint32_t index = 0;
  for (std::uint64_t bucket = 0; bucket < std::uint64_t{1} << bits; ++bucket) {
    while (index < points_.size() && points_[index].position < bucket << shift_) ++index;
    starts_.push_back(index);
  }
  starts_.push_back(static_cast<std::uint32_t>(points_.size()));
  points_.push_back({kTop, points_.front().node});
  points_.shrink_to_fit();
}

std::size_t Continuum::successor(std::uint32_t position) const noexcept {
  const std::size_t bucket = position >> shift_;
  const auto first = points_.begin() + starts_[bucket];
  const auto last = points_.begin() + starts_[bucket + 1];
  const auto found =
      std::lower_bound(first, last, position,
                       [](const Point& point, std::uint32_t h) { return point.position < h; });
  return static_cast<std::size_t>(found - points_.begin());
}

std::uint32_t Continuum::owner_of(std::string_view text) const noexcept {
  return points_[successor(static_cast<std::uint32_t>(hash_(text, seed_)))].node;
}

std::size_t Continuum::owners_of(std::string_view text,
                                 std::span<std::uint32_t> owners) const noexcept {
  const std::size_t circle = points_.size() - 1;
  const std::size_t wanted = std::min<std::size_t>(owners.size(), node_count_);
  std::size_t at = successor(static_cast<std::uint32_t>(hash_(text, seed_))) % circle;
  std::size_t found = 0;
  for (std::size_t seen = 0; seen < circle && found < wanted; ++seen) {
    const auto so_far = owners.first(found);
    if (std::find(so_far.begin(), so_far.end(), points_[at].node) == so_far.end()) {
      owners[found++] = points_[at].node;
    }
    at = at + 1 == circle ? 0 : at + 1;
  }
  return found;
}

std::vector<double> Continuum::shares() const {
  std::vector<double> shares(node_count_, 0.0);
  const std::size_t circle = points_.size() - 1;
  std::uint32_t before = points_[circle - 1].position;
  for (std::size_t i = 0; i < circle; ++i) {
    // Unsigned wrap-around makes the arc over zero come out right; one lone point has all of it.
    const std::uint32_t arc = points_[i].position - before;
    shares[points_[i].node] += circle == 1 ? 1.0 : static_cast<double>(arc) / 0x1p32;
    before = points_[i].position;
  }
  return shares;
}

}  // namespace tokenring
