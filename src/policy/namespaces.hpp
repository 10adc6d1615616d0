// Namespaces: key prefixes with a pool and rules of life. Immutable once built.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenring/units.hpp"

namespace tokenring {

// How long an item of a namespace may live. Seconds; 0 means that the rule is off.
struct LifeRules {
  std::int64_t ttl_cap_s = 0;      // No write or touch may ask for more.
  std::int64_t ttl_default_s = 0;  // What exptime 0 becomes; off: the cap.
  double ttl_jitter = 0;           // 0 to 1: shorten a life by up to this share of it.

  [[nodiscard]] bool any() const noexcept {
    return ttl_cap_s > 0 || ttl_default_s > 0 || ttl_jitter > 0;
  }
};

// The life an item gets when the client asked for `asked`. Never longer than asked or the cap; at
// once stays at once; jitter never shortens a life below one second. `random` is uniform over 64 bits.
[[nodiscard]] Expiry granted_life(const LifeRules& rules, Expiry asked, UnixTime now,
                                  std::uint64_t random) noexcept;

struct Namespace {
  std::string prefix;  // Empty: the default namespace, which has every key no other one claims.
  std::uint32_t pool = 0;
  LifeRules life;
};

// Finds a key's namespace by longest prefix, without allocating.
class NamespaceTable {
 public:
  NamespaceTable() = default;
  // Prefixes must be distinct; at most one is empty.
  explicit NamespaceTable(std::vector<Namespace> namespaces);

  // Null when no prefix fits and there is no default namespace. Valid as long as the table.
  [[nodiscard]] const Namespace* find(std::string_view key) const noexcept;
  // In the order of longest prefix first.
  [[nodiscard]] std::span<const Namespace> all() const noexcept { return namespaces_; }

 private:
  std::vector<Namespace> namespaces_;
};

}  // namespace tokenring
