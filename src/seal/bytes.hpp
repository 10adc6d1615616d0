// Big-endian numbers, base64 for keys and base64url for blinded keys.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace tokenring {

// A number's bytes in the order of the wire, or the reverse. As one word: single bytes in a row
// make whoever reads them as a whole wait.
[[nodiscard]] inline std::uint32_t big_endian(std::uint32_t number) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap32(number) : number;
}
[[nodiscard]] inline std::uint64_t big_endian(std::uint64_t number) noexcept {
  return std::endian::native == std::endian::little ? __builtin_bswap64(number) : number;
}

[[nodiscard]] inline std::uint32_t load_u32(const char* at) noexcept {
  std::uint32_t number = 0;
  std::memcpy(&number, at, sizeof number);
  return big_endian(number);
}

[[nodiscard]] inline std::uint64_t load_u64(const char* at) noexcept {
  std::uint64_t number = 0;
  std::memcpy(&number, at, sizeof number);
  return big_endian(number);
}

inline void store_u32(std::uint32_t number, char* at) noexcept {
  number = big_endian(number);
  std::memcpy(at, &number, sizeof number);
}

inline void store_u64(std::uint64_t number, char* at) noexcept {
  number = big_endian(number);
  std::memcpy(at, &number, sizeof number);
}

// Base64 of 32 bytes takes 44 characters.
[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) noexcept {
  return (bytes + 2) / 3 * 4;
}

// Standard base64 with its padding, the only spelling of `out.size()` bytes; false for anything
// else. Takes no branch and no address from the bytes, which may be keys.
[[nodiscard]] bool decode_key_base64(std::string_view text, std::span<unsigned char> out) noexcept;
// Writes base64_size(in.size()) characters.
void encode_key_base64(std::span<const unsigned char> in, char* out) noexcept;

[[nodiscard]] constexpr std::size_t base64url_size(std::size_t bytes) noexcept {
  return (8 * bytes + 5) / 6;
}
// Writes base64url_size(in.size()) characters, unpadded; returns their end.
char* encode_base64url(std::span<const unsigned char> in, char* out) noexcept;

}  // namespace tokenring
