#include "seal/blind.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/assert.hpp"
#include "seal/bytes.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kTagBytes = 8;
constexpr std::size_t kKeyBytes = 20;
constexpr std::size_t kAuditBytes = 16;
static_assert(kBlindTagCharacters == base64url_size(kTagBytes));
static_assert(kBlindKeyCharacters == base64url_size(kKeyBytes));
static_assert(kAuditCharacters == base64url_size(kAuditBytes));

// What begins a message. No two of these are alike, so that a tag's characters never equal a key's.
// The length keeps the border between namespace and key where it is.
class Head {
 public:
  Head(char domain, std::string_view space) noexcept
      : bytes_{domain, static_cast<char>(space.size())} {}
  operator std::string_view() const noexcept { return {bytes_, sizeof bytes_}; }

 private:
  char bytes_[2];
};

// Writes `bytes` of it, as base64url without padding.
char* write_mac(const Mac& mac, std::size_t bytes, char* out) noexcept {
  return encode_base64url(std::span(mac).first(bytes), out);
}

}  // namespace

BlindedTags::Entry BlindedTags::entry_of(const ClientKey& client) noexcept {
  const std::size_t size = client.space.size() + client.tag.size();
  if (size > kTextBytes) return {};
  const std::uint64_t hash = XXH3_64bits_withSeed(
      client.tag.data(), client.tag.size(), XXH3_64bits(client.space.data(), client.space.size()));
  Place& place = reinterpret_cast<Place*>(places_.data())[hash % kPlaces];
  const std::string_view text(place.text, place.text_bytes);
  const bool is_known = place.space_bytes == client.space.size() && text.size() == size &&
                        text.starts_with(client.space) && text.ends_with(client.tag);
  if (!is_known) {
    client.tag.copy(place.text + client.space.copy(place.text, size), size);
    place.text_bytes = static_cast<unsigned char>(size);
    place.space_bytes = static_cast<unsigned char>(client.space.size());
    place.has_group = false;
  }
  return {place.characters, is_known, place.group, &place.has_group};
}

char* Blinder::write_tag(const ClientKey& client, BlindedTags::Entry entry, char* out, char domain,
                         std::string_view text, Mac& of_text) const noexcept {
  const Head text_head(domain, client.space);
  if (entry.is_known) {
    of_text = key_.mac({text_head, client.space, text});
    std::memcpy(out, entry.characters, kBlindTagCharacters);
    return out + kBlindTagCharacters;
  }
  Mac of_tag;
  key_.mac_two({Head('t', client.space), client.space, client.tag}, {text_head, client.space, text},
               of_tag, of_text);
  char* const end = write_mac(of_tag, kTagBytes, out);
  if (entry.characters != nullptr) std::memcpy(entry.characters, out, kBlindTagCharacters);
  return end;
}

// Writes the prefix, the tag where there is one, and the name of `text` under `domain`.
BlindedKey Blinder::write_name(char domain, std::string_view text, const ClientKey& client,
                               std::string_view tag_ends, char* out,
                               BlindedTags* tags) const noexcept {
  TR_ASSERT(client.space.size() <= 255);
  char* end = out + client.space.copy(out, client.space.size());
  BlindedKey blinded;
  if (client.tag.empty()) {
    end = write_mac(key_.mac({Head(domain, client.space), client.space, text}), kKeyBytes, end);
    blinded.size = static_cast<std::size_t>(end - out);
    blinded.route = {out, blinded.size};
    return blinded;
  }
  TR_ASSERT(tag_ends.size() == 2);
  const BlindedTags::Entry entry = tags != nullptr ? tags->entry_of(client) : BlindedTags::Entry();
  *end++ = tag_ends[0];
  blinded.route = {end, kBlindTagCharacters};
  const bool is_group = domain == 'g';
  if (is_group && entry.is_known && *entry.has_group) {
    end = std::copy_n(entry.characters, kBlindTagCharacters, end);
    *end++ = tag_ends[1];
    end = std::copy_n(entry.group, kBlindKeyCharacters, end);
  } else {
    Mac mac;
    end = write_tag(client, entry, end, domain, text, mac);
    *end++ = tag_ends[1];
    const char* const name = end;
    end = write_mac(mac, kKeyBytes, end);
    if (is_group && entry.group != nullptr) {
      std::copy_n(name, kBlindKeyCharacters, entry.group);
      *entry.has_group = true;
    }
  }
  blinded.size = static_cast<std::size_t>(end - out);
  return blinded;
}

BlindedKey Blinder::blind(const ClientKey& client, std::string_view tag_ends, char* out,
                          BlindedTags* tags) const noexcept {
  return write_name('k', client.key, client, tag_ends, out, tags);
}

BlindedKey Blinder::blind_group(const ClientKey& client, std::string_view tag_ends, char* out,
                                BlindedTags* tags) const noexcept {
  const std::string_view group = client.tag.empty() ? client.key : client.tag;
  return write_name('g', group, client, tag_ends, out, tags);
}

void AuditHash::refer(const ClientKey& client, char* out) const noexcept {
  TR_ASSERT(client.space.size() <= 255);
  write_mac(key_.mac({Head('a', client.space), client.space, client.key}), kAuditBytes, out);
}

}  // namespace tokenring
