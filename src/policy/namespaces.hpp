// Namespaces: key prefixes with a pool and rules of life. Immutable once built.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/near.hpp"
#include "policy/sealing.hpp"
#include "policy/token_rules.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

// How long an item of a namespace may live. Seconds; 0 means that the rule is off.
// What the token in a value may say of the value's life; see claims.hpp.
enum class TokenLife : std::uint8_t {
  kIgnore,
  kFollow,  // It shortens the life; what says nothing gets what the other rules grant.
  kStrict,  // A value that says nothing is refused.
};

struct LifeRules {
  std::int64_t ttl_cap_s = 0;      // No write or touch may ask for more.
  std::int64_t ttl_default_s = 0;  // What exptime 0 becomes; off: the cap.
  double ttl_jitter = 0;           // 0 to 1: shorten a life by up to this share of it.
  std::int64_t max_age_s = 0;      // Since the write, whatever touches it; sealed in.
  TokenLife token_life = TokenLife::kIgnore;
  std::int64_t skew_s = 0;  // By which a token is taken to end earlier than it says.

  [[nodiscard]] bool any() const noexcept {
    return ttl_cap_s > 0 || ttl_default_s > 0 || ttl_jitter > 0 || max_age_s > 0;
  }
};

// What shortened a life.
enum class LifeRule : std::uint8_t { kNone, kDefault, kCap, kMaxAge, kJitter, kFailover };

// The life an item gets when the client asked for `asked`. Never longer than asked or the cap; at
// once stays at once; jitter never shortens a life below one second. `random` is uniform over 64
// bits. `by`: where the life is shorter than asked, why; jitter only where nothing else did it.
[[nodiscard]] Expiry granted_life(const LifeRules& rules, Expiry asked, UnixTime now,
                                  std::uint64_t random, LifeRule* by = nullptr) noexcept;

struct Namespace {
  std::string prefix;  // Empty: the default namespace, which has every key no other one claims.
  std::uint32_t pool = 0;
  LifeRules life = {};
  SealRules seal = {};
  TokenRules tokens = {};  // REQUIRES for any: SealMode::kRequire.
  // Whose clients' keys it has, as numbered in Identity; 0: those of all who share one set of keys.
  // An owner's prefix begins with the owner's mark, of so many bytes.
  std::uint16_t owner = 0;
  std::uint16_t mark_bytes = 0;
  bool coalesce = false;    // Gets of one key that are in flight at once share one request.
  std::uint16_t place = 0;  // In the order of the file.
  NearRules near = {};
  // Set by NamespaceTable: where it is in all(), and tokens.any().
  std::uint16_t number = 0;
  bool has_token_rules = false;
};

// Finds a key's namespace by longest prefix, without allocating.
//
// Prefixes lie in byte order, in groups of one first byte. What all of a group have in common is
// compared once; the next 8 bytes of each, as a number, are searched. The last prefix that is not
// above a key either begins the key or shares with it every prefix that does, so from there links
// lead to the longest: each to the longest other prefix that begins this one.
class NamespaceTable {
 public:
  static constexpr std::size_t kNamespacesMax = 4096;

  NamespaceTable() = default;
  // Prefixes must be distinct; at most one is empty. REQUIRES: at most kNamespacesMax, and none
  // longer than 65535 bytes.
  explicit NamespaceTable(std::vector<Namespace> namespaces);

  // Null when no prefix fits and there is no default namespace. Valid as long as the table.
  [[nodiscard]] const Namespace* find(std::string_view key) const noexcept {
    return entries_.empty() ? fallback() : find_by_prefix(key);
  }
  // In the order of longest prefix first.
  [[nodiscard]] std::span<const Namespace> all() const noexcept { return namespaces_; }

 private:
  static constexpr std::uint16_t kNone = UINT16_MAX;

  struct Entry {
    std::uint64_t head = 0;        // The bytes behind what its group shares: up to 8, then zeros.
    std::uint64_t head_mask = 0;   // Which of them there are.
    bool has_twin = false;         // The entry before it in its group has the same head.
    std::uint16_t size = 0;        // Of the prefix.
    std::uint16_t index = kNone;   // Into namespaces_.
    std::uint16_t parent = kNone;  // Into entries_: the longest other prefix of this prefix.
  };
  // The entries with one first byte.
  struct Group {
    std::uint16_t begin = 0;
    std::uint16_t count = 0;
    std::uint16_t shared = 0;   // Bytes that all have in common.
    std::uint16_t any = kNone;  // Into namespaces_: one of them, for those bytes.
  };

  void add_group(std::size_t begin, std::size_t end);
  [[nodiscard]] const Namespace* find_by_prefix(std::string_view key) const noexcept;
  [[nodiscard]] std::size_t last_not_above(std::string_view key, Group group) const noexcept;
  [[nodiscard]] const std::string& prefix_of(const Entry& entry) const noexcept {
    return namespaces_[entry.index].prefix;
  }
  [[nodiscard]] const Namespace* fallback() const noexcept {
    return default_ == kNone ? nullptr : &namespaces_[default_];
  }

  std::vector<Namespace> namespaces_;
  std::vector<Entry> entries_;  // In byte order of their prefixes, without the default.
  std::array<Group, 256> groups_{};
  std::uint16_t default_ = kNone;  // Into namespaces_.
};

}  // namespace tokenring
