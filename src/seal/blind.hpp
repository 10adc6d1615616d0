// Blinded keys: what a node sees in place of a client key, and what the audit log writes.
//
// FORMAT.md has the bytes. Both depend on nothing but the key file, so that a fleet agrees.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "seal/hmac.hpp"

namespace tokenring {

inline constexpr std::size_t kBlindTagCharacters = 11;  // 64 bits.
inline constexpr std::size_t kBlindKeyCharacters = 27;  // 160 bits.
inline constexpr std::size_t kAuditCharacters = 22;     // 128 bits.

// Bytes that Blinder::blind() may write.
[[nodiscard]] constexpr std::size_t blinded_size_max(std::size_t prefix_bytes) noexcept {
  return prefix_bytes + kBlindTagCharacters + 2 + kBlindKeyCharacters;
}

struct ClientKey {
  std::string_view space;     // Its namespace's prefix. REQUIRES: at most 255 bytes.
  std::string_view key;       // Whole, as the client sent it.
  std::string_view tag = {};  // Its hash tag; empty: none. hashed_part() gives it.
};

struct BlindedKey {
  std::size_t size = 0;    // What was written.
  std::string_view route;  // What to ask the ring for, instead of the whole. Borrows from `out`.
};

// Immutable: any number of threads may use one.
class Blinder {
 public:
  explicit Blinder(std::span<const unsigned char> key) : key_(key) {}

  // Writes the prefix, then for a key with a tag the tag's 11 characters between `tag_ends`, then
  // the key's 27. `tag_ends` are the two characters that enclose a tag in this pool, none of them
  // base64url's.
  BlindedKey blind(const ClientKey& client, std::string_view tag_ends, char* out) const noexcept;

 private:
  HmacKey key_;
};

// Immutable: any number of threads may use one.
class AuditHash {
 public:
  explicit AuditHash(std::span<const unsigned char> key) : key_(key) {}

  // Writes kAuditCharacters that stand for a key where it must not be read.
  void refer(const ClientKey& client, char* out) const noexcept;

 private:
  HmacKey key_;
};

}  // namespace tokenring
