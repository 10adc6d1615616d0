// Numbers and base64 exactly as memcached 1.6.18 reads and writes them (util.c, base64.c).
//
// Its readers are C's strto* functions with a check behind: leading white space, a sign and bytes
// after white space or NUL are accepted, and 32-bit numbers are cut from 64-bit ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace tokenring::store {

[[nodiscard]] std::optional<std::uint64_t> read_u64(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::uint32_t> read_u32(std::string_view text) noexcept;
[[nodiscard]] std::optional<std::int32_t> read_i32(std::string_view text) noexcept;

[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) noexcept {
  return (bytes + 2) / 3 * 4;
}
// Writes base64_size(bytes.size()) characters to `to`.
void encode_base64(std::string_view bytes, char* to) noexcept;
// Returns how many bytes were written to `to`; 0 when `text` does not decode. Bytes outside the
// alphabet are skipped. REQUIRES: to.size() >= text.size().
[[nodiscard]] std::size_t decode_base64(std::string_view text, std::span<char> to) noexcept;

}  // namespace tokenring::store
