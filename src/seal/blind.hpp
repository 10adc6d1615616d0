// Blinded keys: what a node sees in place of a client key, and what the audit log writes.
//
// FORMAT.md has the bytes. Both depend on nothing but the key file, so that a fleet agrees.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "seal/hmac.hpp"
#include "seal/secret.hpp"

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

// The tags that one thread hid last, and what became of them: keys of one user come together, and
// each would cost the HMAC of the same tag. Direct-mapped and of a fixed size. It has clients' tags
// as they are, so it lies in memory for secrets. For one Blinder: clear() it before another.
class BlindedTags {
 public:
  static constexpr std::size_t kPlaces = 1024;   // 128 KiB.
  static constexpr std::size_t kTextBytes = 87;  // Of prefix and tag; longer ones are not kept.

  BlindedTags() : places_(kPlaces * sizeof(Place)) {}

  struct Entry {
    char* characters = nullptr;  // kBlindTagCharacters of them; null: this tag is not kept.
    bool is_known = false;       // Else they are to be written there.
    char* group = nullptr;       // kBlindKeyCharacters of its group's name,
    bool* has_group = nullptr;   // if they are there.
  };
  // Valid until the next call.
  [[nodiscard]] Entry entry_of(const ClientKey& client) noexcept;
  void clear() noexcept { wipe(places_.data(), places_.size()); }

 private:
  struct Place {
    char characters[kBlindTagCharacters];
    char group[kBlindKeyCharacters];
    bool has_group;
    unsigned char space_bytes;
    unsigned char text_bytes;  // 0: the place is empty.
    char text[kTextBytes];     // The prefix, then the tag.
  };
  static_assert(sizeof(Place) == 128);  // Two lines of the processor's cache.

  SecretBytes places_;
};

// Immutable: any number of threads may use one.
class Blinder {
 public:
  explicit Blinder(std::span<const unsigned char> key) : key_(key) {}

  // Writes the prefix, then for a key with a tag the tag's 11 characters between `tag_ends`, then
  // the key's 27. `tag_ends` are the two characters that enclose a tag in this pool, none of them
  // base64url's. `tags` are this thread's.
  BlindedKey blind(const ClientKey& client, std::string_view tag_ends, char* out,
                   BlindedTags* tags = nullptr) const noexcept;
  // The name of the item that speaks for all keys with `client.tag`: the prefix, the tag's 11
  // characters between `tag_ends`, as its keys have them, and 27 of the group's. Without a tag, of
  // the one that speaks for the key alone.
  BlindedKey blind_group(const ClientKey& client, std::string_view tag_ends, char* out,
                         BlindedTags* tags = nullptr) const noexcept;

 private:
  // Writes the tag's characters, and tells the HMAC of `text` under `domain`, which is made
  // together with a new tag's.
  char* write_tag(const ClientKey& client, BlindedTags::Entry entry, char* out, char domain,
                  std::string_view text, Mac& of_text) const noexcept;
  BlindedKey write_name(char domain, std::string_view text, const ClientKey& client,
                        std::string_view tag_ends, char* out, BlindedTags* tags) const noexcept;

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
