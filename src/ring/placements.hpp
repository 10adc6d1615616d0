// The table of placements: what each mode is called, what it may be combined with and who builds
// it. A new placement is one row here.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ring/hashes.hpp"
#include "ring/node_name.hpp"
#include "ring/selector.hpp"
#include "tokenring/ring.hpp"

namespace tokenring {

struct PlacementRow {
  Placement placement;
  std::string_view name;
  SelectorPtr (*build)(const Layout& layout);
  NodeNameRule node_name;

  KeyHash hash;       // Unless configured.
  KeyHashSet hashes;  // That may be configured.
  HashDialect dialect = HashDialect::kC;
  bool ring = true;  // A circle of 32 bits: a hash of 15 bits would land on one node of it.

  bool tagged = false;   // By default, with "{}".
  bool mcproxy = false;  // Its rules: an empty tag is hashed as such, and xxh3 takes a seed.
  std::uint64_t weight_total_max = 0;  // Where a node is repeated by its weight; 0: no limit.
};

[[nodiscard]] std::span<const PlacementRow> placement_rows() noexcept;
[[nodiscard]] const PlacementRow& row_of(Placement placement) noexcept;

}  // namespace tokenring
