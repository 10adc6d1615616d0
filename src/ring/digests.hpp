// Digests and checksums that ring points, node scores and key hashes are made of.
//
// None of them allocates or fails.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tokenring {

[[nodiscard]] std::uint64_t xxh3(std::string_view text, std::uint64_t seed = 0) noexcept;

// MD5 as four little-endian words.
[[nodiscard]] std::array<std::uint32_t, 4> md5_words(std::string_view text) noexcept;

// The first four bytes of SHA-1, big-endian.
[[nodiscard]] std::uint32_t sha1_head(std::string_view text) noexcept;

// CRC-32 (IEEE 802.3).
[[nodiscard]] std::uint32_t crc32_ieee(std::string_view text) noexcept;

// CRC-16 (XMODEM) as twemproxy has it: the register is 32 bits wide and never cut to 16.
[[nodiscard]] std::uint32_t crc16_wide(std::string_view text) noexcept;

// The first four bytes, or as many as there are, little-endian.
[[nodiscard]] constexpr std::uint32_t load_word(std::string_view bytes) noexcept {
  const auto at = [bytes](std::size_t i) {
    return std::uint32_t{static_cast<unsigned char>(bytes[i])};
  };
  if (bytes.size() >= 4) return at(0) | at(1) << 8 | at(2) << 16 | at(3) << 24;
  std::uint32_t word = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) word = word << 8 | at(i - 1);
  return word;
}

// MurmurHash3_x86_32 in pieces, so that a common prefix is hashed once.
class Murmur3 {
 public:
  explicit Murmur3(std::uint32_t seed) noexcept : state_(seed) {}
  void update(std::string_view bytes) noexcept;
  [[nodiscard]] std::uint32_t finish() const noexcept;

 private:
  void mix(std::uint32_t block) noexcept;

  std::uint32_t state_;
  std::uint32_t tail_ = 0;  // The bytes after the last whole block, little-endian.
  std::uint32_t length_ = 0;
};

}  // namespace tokenring
