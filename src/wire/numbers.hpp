// Numbers on the wire, read and written as memcached does.
#pragma once

#include <cstdint>
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

// Copies `bytes`; returns the end.
char* write_bytes(char* to, std::string_view bytes) noexcept;

}  // namespace tokenring::wire
