// Numbers on the wire, read and written as memcached does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace tokenring::wire {

// Each returns false for what memcached's safe_strto* refuses (util.c of 1.6.18). They accept what
// it accepts: white space and a sign in front, white space behind, and 64-bit numbers whose upper
// half is silently cut off, so that every client's odd number means here what it means there.
[[nodiscard]] bool parse_u64(std::string_view word, std::uint64_t& number) noexcept;
[[nodiscard]] bool parse_u32(std::string_view word, std::uint32_t& number) noexcept;
[[nodiscard]] bool parse_i32(std::string_view word, std::int32_t& number) noexcept;
// Whether safe_strtod takes it.
[[nodiscard]] bool is_real(std::string_view word) noexcept;

// Writes a decimal number; returns the end. At most 20 bytes.
char* write_number(char* to, std::uint64_t number) noexcept;
char* write_number(char* to, std::int32_t number) noexcept;

// Our opaque: `O` and four characters of 6 bits each.
inline constexpr std::size_t kOpaqueSize = 5;
inline constexpr std::uint32_t kOpaqueMask = 0xFF'FFFF;
char* write_opaque(char* to, std::uint32_t opaque) noexcept;
// False when `word` is not an opaque of ours.
[[nodiscard]] bool parse_opaque(std::string_view word, std::uint32_t& opaque) noexcept;

// Copies `bytes`, which are mostly fewer than 32, such as keys, without a call; returns the end.
inline char* write_bytes(char* to, std::string_view bytes) noexcept {
  const char* const from = bytes.data();
  const std::size_t n = bytes.size();
  // Two pieces of one size, which overlap by what is too much.
  const auto copy = [&]<std::size_t kSize>() {
    char first[kSize];
    char last[kSize];
    std::memcpy(first, from, kSize);
    std::memcpy(last, from + n - kSize, kSize);
    std::memcpy(to, first, kSize);
    std::memcpy(to + n - kSize, last, kSize);
  };
  if (n > 32)
    std::memcpy(to, from, n);
  else if (n >= 16)
    copy.template operator()<16>();
  else if (n >= 8)
    copy.template operator()<8>();
  else if (n >= 4)
    copy.template operator()<4>();
  else
    for (std::size_t i = 0; i < n; ++i) to[i] = from[i];
  return to + n;
}

}  // namespace tokenring::wire
