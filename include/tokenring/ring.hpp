// Placement: which node owns a key.
//
// A Ring is an immutable table built once from a list of nodes; looking up neither allocates nor
// fails. Every mode but `ketama` reproduces another implementation bit for bit, so that an existing
// fleet keeps its layout.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenring/result.hpp"

namespace tokenring {

// One node as the operator names it. Owns its text.
struct NodeSpec {
  std::string address = {};  // "host:port", "[v6]:port", "unix:/path" or "embedded".
  std::string name = {};  // Name on the ring; empty: derived from the address by the mode's rule.
  std::uint32_t weight = 1;  // At least 1. Modes whose original has no weights ignore it.

  // What people call it.
  [[nodiscard]] const std::string& shown() const noexcept { return name.empty() ? address : name; }
};

enum class Placement : std::uint8_t {
  kKetama,                // Our own default. Weights.
  kLibmemcachedWeighted,  // Weights.
  kLibmemcachedKetama,    // A weight above 1 turns on weighted points, as it does there.
  kTwemproxy,             // Weights.
  kTwemproxyModula,       // Weights.
  kLastfm,                // Weights.
  kSpymemcached,
  kXmemcached,  // Weights.
  kEvcache,
  kMcproxyRing,
  kMcproxyKetama,     // Its ring with omode = "ketama".
  kMcproxyTwemproxy,  // Its ring with omode = "twemproxy".
  kMcproxyEvcache,    // Its ring with omode = "evcache".
  kMcproxyJump,
  kDalli,  // Weights.
  kPymemcache,
  kCrc32Mod,
  kModula,
};

enum class KeyHash : std::uint8_t {
  kXxh3,
  kMd5,
  kOneAtATime,
  kFnv1_32,
  kFnv1a_32,
  kFnv1_64,
  kFnv1a_64,
  kMurmur,
  kMurmur3,
  kJenkins,
  kHsieh,
  kCrc16,
  kCrc32,   // The 15 bits that libmemcached ("crc"), twemproxy and Java clients keep of it.
  kCrc32a,  // All 32 bits.
  kJava,    // String.hashCode(), spymemcached's default.
};

struct RingOptions {
  Placement placement = Placement::kKetama;
  std::optional<KeyHash> hash = {};  // Empty: the mode's own default.
  // Two characters that enclose what is hashed, or "" for none. Empty: the mode's own default,
  // which is "{}" for ketama and none for the others, whose originals hash the whole key unless
  // told.
  std::optional<std::string> hash_tag = {};
  std::string seed = {};  // mcproxy modes that hash with xxh3 only.
};

// The configuration names ("libmemcached-weighted", "fnv1a_64"); empty when unknown.
[[nodiscard]] std::optional<Placement> placement_named(std::string_view name) noexcept;
[[nodiscard]] std::optional<KeyHash> key_hash_named(std::string_view name) noexcept;
[[nodiscard]] std::string_view name_of(Placement placement) noexcept;
[[nodiscard]] std::string_view name_of(KeyHash hash) noexcept;
// All names, comma separated, for messages.
[[nodiscard]] std::string placement_names();
[[nodiscard]] std::string key_hash_names();

// The part of `key` that is hashed: what stands between the tag's two characters, the whole key
// when there is no such part. `tag` is empty or two characters. Borrows from `key`.
[[nodiscard]] std::string_view hashed_part(std::string_view key, std::string_view tag) noexcept;

class Selector;

// Copies share one table. Only destruction and assignment are allowed on a moved-from Ring.
class Ring {
 public:
  // Fails with one line for the operator: no nodes, a weight of 0, two nodes of one ring name, a
  // name that cannot be derived, a hash the mode does not know, a combination that would put nearly
  // every key on one node.
  [[nodiscard]] static Result<Ring, std::string> make(std::span<const NodeSpec> nodes,
                                                      const RingOptions& options);

  // The index (into the nodes given to make()) of the key's owner. Constant time, but for
  // mcproxy-jump (logarithmic) and pymemcache (which scores every node).
  [[nodiscard]] std::uint32_t owner_of(std::string_view key) const noexcept;

  // The owner and the next distinct nodes in the order in which they would take over, as many as
  // fit in `owners`; returns how many were written. A node whose weight gave it no share is left
  // out.
  std::size_t owners_of(std::string_view key, std::span<std::uint32_t> owners) const noexcept;

  // Each node's share of the key space, 0 to 1, in the order given to make().
  [[nodiscard]] std::vector<double> shares() const;

  // The tag in effect, two characters or none. Valid as long as this Ring.
  [[nodiscard]] std::string_view hash_tag() const noexcept {
    return {tag_.data(), tagged_ ? tag_.size() : 0};
  }

 private:
  Ring() = default;
  [[nodiscard]] std::string_view hashed(std::string_view key) const noexcept;

  std::shared_ptr<const Selector> selector_;
  std::array<char, 2> tag_{};
  bool tagged_ = false;
  bool empty_tag_counts_ = false;  // "{}x" hashes "", not the whole key.
};

}  // namespace tokenring
