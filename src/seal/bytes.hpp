// Big-endian numbers, base64 for keys and base64url for blinded keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace tokenring {

[[nodiscard]] inline std::uint32_t load_u32(const char* at) noexcept {
  std::uint32_t number = 0;
  for (int i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(at[i]);
  return number;
}

[[nodiscard]] inline std::uint64_t load_u64(const char* at) noexcept {
  return std::uint64_t{load_u32(at)} << 32 | load_u32(at + 4);
}

inline void store_u32(std::uint32_t number, char* at) noexcept {
  for (int i = 0; i < 4; ++i) at[i] = static_cast<char>(number >> (24 - 8 * i));
}

inline void store_u64(std::uint64_t number, char* at) noexcept {
  store_u32(static_cast<std::uint32_t>(number >> 32), at);
  store_u32(static_cast<std::uint32_t>(number), at + 4);
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
