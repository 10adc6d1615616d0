#include "ring/digests.hpp"

#include <openssl/md5.h>
#include <openssl/sha.h>

#define XXH_INLINE_ALL  // Keys are short: the call would cost as much as the hash.
#include <xxhash.h>

#include <bit>

namespace tokenring {
namespace {

constexpr std::array<std::uint32_t, 256> crc32_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320u : 0u);
    table[byte] = crc;
  }
  return table;
}

constexpr std::array<std::uint16_t, 256> crc16_table() {
  std::array<std::uint16_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte << 8;
    for (int bit = 0; bit < 8; ++bit) crc = (crc << 1) ^ ((crc & 0x8000) != 0 ? 0x1021u : 0u);
    table[byte] = static_cast<std::uint16_t>(crc & 0xffff);
  }
  return table;
}

constexpr std::array kCrc32Table = crc32_table();
constexpr std::array kCrc16Table = crc16_table();

const unsigned char* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::uint64_t xxh3(std::string_view text, std::uint64_t seed) noexcept {
  return XXH3_64bits_withSeed(text.data(), text.size(), seed);
}

std::array<std::uint32_t, 4> md5_words(std::string_view text) noexcept {
  std::array<unsigned char, MD5_DIGEST_LENGTH> digest{};
// EVP_Digest() allocates a context for every call and fails where policy forbids MD5; this is a
// placement, not cryptography, and it is looked up once per key.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  MD5(bytes_of(text), text.size(), digest.data());
#pragma GCC diagnostic pop
  std::array<std::uint32_t, 4> words{};
  const std::string_view all(reinterpret_cast<const char*>(digest.data()), digest.size());
  for (std::size_t i = 0; i < words.size(); ++i) words[i] = load_word(all.substr(4 * i));
  return words;
}

std::uint32_t sha1_head(std::string_view text) noexcept {
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(bytes_of(text), text.size(), digest.data());
  return std::uint32_t{digest[0]} << 24 | std::uint32_t{digest[1]} << 16 |
         std::uint32_t{digest[2]} << 8 | std::uint32_t{digest[3]};
}

std::uint32_t crc32_ieee(std::string_view text) noexcept {
  std::uint32_t crc = 0xffffffff;
  for (const char c : text) {
    crc = (crc >> 8) ^ kCrc32Table[(crc ^ static_cast<unsigned char>(c)) & 0xff];
  }
  return ~crc;
}

std::uint32_t crc16_wide(std::string_view text) noexcept {
  std::uint32_t crc = 0;
  for (const char c : text) {
    crc = (crc << 8) ^ kCrc16Table[((crc >> 8) ^ static_cast<unsigned char>(c)) & 0xff];
  }
  return crc;
}

void Murmur3::mix(std::uint32_t block) noexcept {
  block *= 0xcc9e2d51;
  block = std::rotl(block, 15) * 0x1b873593;
  state_ = std::rotl(state_ ^ block, 13) * 5 + 0xe6546b64;
}

void Murmur3::update(std::string_view bytes) noexcept {
  const std::uint32_t held = length_ % 4;
  length_ += static_cast<std::uint32_t>(bytes.size());
  if (held > 0) {
    const std::size_t wanted = 4 - held;
    tail_ |= load_word(bytes.substr(0, wanted)) << (8 * held);
    if (bytes.size() < wanted) return;
    mix(tail_);
    bytes.remove_prefix(wanted);
  }
  for (; bytes.size() >= 4; bytes.remove_prefix(4)) mix(load_word(bytes));
  tail_ = load_word(bytes);
}

std::uint32_t Murmur3::finish() const noexcept {
  std::uint32_t hash = state_;
  if (length_ % 4 > 0) hash ^= std::rotl(tail_ * 0xcc9e2d51, 15) * 0x1b873593;
  hash ^= length_;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
  return hash ^ (hash >> 16);
}

}  // namespace tokenring
