// Splitting a command line into words, as memcached's tokenizer does.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace tokenring::wire {

// memcached's MAX_TOKENS less its terminal one; a line's further words are not looked at.
inline constexpr std::size_t kWordsMax = 23;

// Borrows from the line.
struct Words {
  std::array<std::string_view, kWordsMax> at;
  std::size_t count = 0;

  [[nodiscard]] std::string_view last() const noexcept { return at[count - 1]; }
};

// The first blank, LF or NUL in [from, to); `to` when there is none.
[[nodiscard]] const char* find_delimiter(const char* from, const char* to) noexcept;

// Splits the line at the front of `in` and returns the bytes it takes with its LF; 0 when there is
// no LF yet (`words` is then not meaningful). A CR before the LF is dropped; a NUL ends the words.
[[nodiscard]] std::size_t split_line(std::string_view in, Words& words) noexcept;

}  // namespace tokenring::wire
