#include "seal/blind.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

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

// No two of these begin alike, so that a tag's characters never equal a key's. The length
// keeps the border between namespace and key where it is.
//
// Writes `bytes` of it, as base64url without padding.
char* write_mac(const HmacKey& key, char domain, std::string_view space, std::string_view text,
                std::size_t bytes, char* out) noexcept {
  const char head[2] = {domain, static_cast<char>(space.size())};
  const Mac mac = key.mac({{head, sizeof head}, space, text});
  return encode_base64url(std::span(mac).first(bytes), out);
}

}  // namespace

BlindedTags::Entry BlindedTags::entry_of(const ClientKey& client) noexcept {
  const std::size_t size = client.space.size() + client.tag.size();
  if (size > kTextBytes) return {};
  char text[kTextBytes];
  client.tag.copy(text + client.space.copy(text, client.space.size()), client.tag.size());
  Place& place = reinterpret_cast<Place*>(places_.data())[XXH3_64bits(text, size) % kPlaces];
  const bool is_known = place.text_bytes == size && place.space_bytes == client.space.size() &&
                        std::memcmp(place.text, text, size) == 0;
  if (!is_known) {
    std::memcpy(place.text, text, size);
    place.text_bytes = static_cast<unsigned char>(size);
    place.space_bytes = static_cast<unsigned char>(client.space.size());
  }
  return {place.characters, is_known};
}

char* Blinder::write_tag(const ClientKey& client, BlindedTags* tags, char* out) const noexcept {
  const BlindedTags::Entry entry = tags != nullptr ? tags->entry_of(client) : BlindedTags::Entry();
  if (entry.is_known) {
    std::memcpy(out, entry.characters, kBlindTagCharacters);
    return out + kBlindTagCharacters;
  }
  char* const end = write_mac(key_, 't', client.space, client.tag, kTagBytes, out);
  if (entry.characters != nullptr) std::memcpy(entry.characters, out, kBlindTagCharacters);
  return end;
}

// Writes the prefix, and the tag where there is one; returns the end.
char* Blinder::begin_tagged(const ClientKey& client, std::string_view tag_ends, char* out,
                            BlindedTags* tags, BlindedKey& blinded) const noexcept {
  TR_ASSERT(client.space.size() <= 255);
  char* end = out + client.space.copy(out, client.space.size());
  if (client.tag.empty()) return end;
  TR_ASSERT(tag_ends.size() == 2);
  *end++ = tag_ends[0];
  blinded.route = {end, kBlindTagCharacters};
  end = write_tag(client, tags, end);
  *end++ = tag_ends[1];
  return end;
}

BlindedKey Blinder::blind(const ClientKey& client, std::string_view tag_ends, char* out,
                          BlindedTags* tags) const noexcept {
  BlindedKey blinded;
  char* end = begin_tagged(client, tag_ends, out, tags, blinded);
  end = write_mac(key_, 'k', client.space, client.key, kKeyBytes, end);
  blinded.size = static_cast<std::size_t>(end - out);
  if (client.tag.empty()) blinded.route = {out, blinded.size};
  return blinded;
}

BlindedKey Blinder::blind_group(const ClientKey& client, std::string_view tag_ends, char* out,
                                BlindedTags* tags) const noexcept {
  BlindedKey blinded;
  char* end = begin_tagged(client, tag_ends, out, tags, blinded);
  const std::string_view group = client.tag.empty() ? client.key : client.tag;
  end = write_mac(key_, 'g', client.space, group, kKeyBytes, end);
  blinded.size = static_cast<std::size_t>(end - out);
  return blinded;
}

void AuditHash::refer(const ClientKey& client, char* out) const noexcept {
  TR_ASSERT(client.space.size() <= 255);
  write_mac(key_, 'a', client.space, client.key, kAuditBytes, out);
}

}  // namespace tokenring
