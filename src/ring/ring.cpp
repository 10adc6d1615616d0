#include "tokenring/ring.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "ring/digests.hpp"
#include "ring/placements.hpp"

namespace tokenring {
namespace {

constexpr std::size_t kNodesMax = 1024;

// A pool of one node has nothing to choose.
class OnlyNode final : public Selector {
 public:
  [[nodiscard]] std::uint32_t owner_of(std::string_view) const noexcept override { return 0; }
  std::size_t owners_of(std::string_view, std::span<std::uint32_t> owners) const noexcept override {
    if (owners.empty()) return 0;
    owners[0] = 0;
    return 1;
  }
  [[nodiscard]] std::vector<double> shares() const override { return {1.0}; }
};

// What stands between the first `tag[0]` and the first `tag[1]` after it; data() is null when that
// is not there, which is not the same as empty.
std::string_view enclosed(std::string_view key, std::string_view tag) noexcept {
  const std::size_t open = key.find(tag[0]);
  if (open == std::string_view::npos) return {};
  const std::size_t close = key.find(tag[1], open + 1);
  if (close == std::string_view::npos) return {};
  return key.substr(open + 1, close - open - 1);
}

template <typename Rows>
std::string joined(const Rows& rows, auto&& wanted) {
  std::string names;
  for (const auto& row : rows) {
    if (!wanted(row)) continue;
    if (!names.empty()) names += ", ";
    names += row.name;
  }
  return names;
}

std::string joined(const auto& rows) {
  return joined(rows, [](const auto&) { return true; });
}

// Each check returns the error, empty when all is well.

std::string bad_hash(const PlacementRow& row, KeyHash hash) {
  const auto usable = [&](const KeyHashRow& other) {
    return row.hashes.has(other.hash) && !(row.ring && other.hash == KeyHash::kCrc32);
  };
  if (!row.hashes.has(hash)) {
    return fmt::format("placement {} does not know hash {}; it knows {}", row.name, name_of(hash),
                       joined(key_hash_rows(), usable));
  }
  if (row.ring && hash == KeyHash::kCrc32) {
    return fmt::format(
        "hash {} keeps 15 of 32 bits, which puts nearly every key of placement {} on one node; use "
        "one of {}",
        name_of(hash), row.name, joined(key_hash_rows(), usable));
  }
  return {};
}

std::string bad_options(const PlacementRow& row, KeyHash hash, const RingOptions& options) {
  if (std::string error = bad_hash(row, hash); !error.empty()) return error;
  if (options.hash_tag && !options.hash_tag->empty() && options.hash_tag->size() != 2) {
    return fmt::format("hash tag \"{}\" must be two characters, or empty for none",
                       *options.hash_tag);
  }
  if (!options.seed.empty() && (!row.mcproxy || hash != KeyHash::kXxh3)) {
    return fmt::format("placement {} with hash {} takes no seed; the mcproxy ones with xxh3 do",
                       row.name, name_of(hash));
  }
  return {};
}

std::string bad_nodes(const PlacementRow& row, std::span<const NodeSpec> nodes) {
  if (nodes.empty()) return "pool needs at least one node";
  if (nodes.size() > kNodesMax) {
    return fmt::format("pool has {} nodes, at most {} are possible", nodes.size(), kNodesMax);
  }
  std::uint64_t total = 0;
  for (const NodeSpec& node : nodes) {
    if (node.weight == 0) {
      return fmt::format("node {} has weight 0; weights start at 1", node.address);
    }
    total += node.weight;
  }
  if (row.weight_total_max > 0 && total > row.weight_total_max) {
    return fmt::format("weights add up to {}, placement {} can take {}", total, row.name,
                       row.weight_total_max);
  }
  return {};
}

Result<std::vector<RingNode>, std::string> named(const PlacementRow& row,
                                                 std::span<const NodeSpec> nodes) {
  std::vector<RingNode> named;
  std::unordered_map<std::string, std::string_view> taken;  // Ring name to address.
  for (const NodeSpec& node : nodes) {
    std::optional<std::string> name =
        node.name.empty() ? row.node_name(node.address) : std::optional(node.name);
    if (!name) {
      return unexpected(fmt::format(
          "node {} needs a name: placement {} cannot derive it from this address (it is what the "
          "client prints before the \"-0\" of its points)",
          node.address, row.name));
    }
    const auto [other, fresh] = taken.emplace(*name, node.address);
    if (!fresh) {
      return unexpected(
          fmt::format("nodes {} and {} have the same ring name \"{}\"; give one a name",
                      other->second, node.address, *name));
    }
    named.push_back({*std::move(name), node.weight});
  }
  return named;
}

}  // namespace

Result<Ring, std::string> Ring::make(std::span<const NodeSpec> nodes, const RingOptions& options) {
  const PlacementRow& row = row_of(options.placement);
  Layout layout;
  layout.hash = options.hash.value_or(row.hash);
  if (std::string error = bad_nodes(row, nodes); !error.empty()) return unexpected(error);
  if (std::string error = bad_options(row, layout.hash, options); !error.empty()) {
    return unexpected(error);
  }
  Result<std::vector<RingNode>, std::string> ring_nodes = named(row, nodes);
  if (!ring_nodes) return unexpected(ring_nodes.error());
  layout.nodes = *std::move(ring_nodes);
  layout.hash_function = row_of(layout.hash).in(row.dialect);
  layout.seed = options.seed.empty() ? 0 : xxh3(options.seed);

  Ring ring;
  const std::string tag = options.hash_tag.value_or(row.tagged ? "{}" : "");
  ring.tagged_ = !tag.empty();
  if (ring.tagged_) ring.tag_ = {tag[0], tag[1]};
  ring.empty_tag_counts_ = row.mcproxy;
  ring.selector_ = nodes.size() == 1 ? std::make_shared<OnlyNode>() : row.build(layout);
  return ring;
}

std::string_view Ring::hashed(std::string_view key) const noexcept {
  if (!tagged_) return key;
  const std::string_view part = enclosed(key, hash_tag());
  if (!part.empty() || (empty_tag_counts_ && part.data() != nullptr)) return part;
  return key;
}

std::uint32_t Ring::owner_of(std::string_view key) const noexcept {
  return selector_->owner_of(hashed(key));
}

std::size_t Ring::owners_of(std::string_view key, std::span<std::uint32_t> owners) const noexcept {
  return selector_->owners_of(hashed(key), owners);
}

std::vector<double> Ring::shares() const {
  return selector_->shares();
}

std::string_view hashed_part(std::string_view key, std::string_view tag) noexcept {
  if (tag.size() != 2) return key;
  const std::string_view part = enclosed(key, tag);
  return part.empty() ? key : part;
}

std::optional<Placement> placement_named(std::string_view name) noexcept {
  for (const PlacementRow& row : placement_rows()) {
    if (row.name == name) return row.placement;
  }
  return std::nullopt;
}

std::optional<KeyHash> key_hash_named(std::string_view name) noexcept {
  for (const KeyHashRow& row : key_hash_rows()) {
    if (row.name == name) return row.hash;
  }
  return std::nullopt;
}

std::string_view name_of(Placement placement) noexcept {
  return row_of(placement).name;
}
std::string_view name_of(KeyHash hash) noexcept {
  return row_of(hash).name;
}

std::string placement_names() {
  return joined(placement_rows());
}
std::string key_hash_names() {
  return joined(key_hash_rows());
}

}  // namespace tokenring
