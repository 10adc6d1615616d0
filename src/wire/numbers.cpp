#include "wire/numbers.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>

namespace tokenring::wire {

namespace {

constexpr std::string_view kDigits =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_";

constexpr std::array<std::uint8_t, 256> make_digit_values() {
  std::array<std::uint8_t, 256> values{};
  values.fill(0xFF);
  for (std::size_t i = 0; i < kDigits.size(); ++i)
    values[static_cast<unsigned char>(kDigits[i])] = static_cast<std::uint8_t>(i);
  return values;
}
constexpr auto kDigitValues = make_digit_values();

// isspace() of the C locale.
constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

struct Magnitude {
  std::uint64_t value = 0;
  bool negative = false;
};

// What strtoull reads, before the sign is applied.
bool parse_magnitude(std::string_view word, Magnitude& out) {
  std::size_t i = 0;
  while (i < word.size() && is_space(word[i])) ++i;
  if (i < word.size() && (word[i] == '-' || word[i] == '+')) out.negative = word[i++] == '-';
  const std::size_t first = i;
  for (; i < word.size() && word[i] >= '0' && word[i] <= '9'; ++i) {
    const auto digit = static_cast<std::uint64_t>(word[i] - '0');
    if (out.value > (UINT64_MAX - digit) / 10) return false;
    out.value = out.value * 10 + digit;
  }
  return i > first && (i == word.size() || is_space(word[i]));
}

}  // namespace

bool parse_u64(std::string_view word, std::uint64_t& number) noexcept {
  Magnitude m;
  if (!parse_magnitude(word, m)) return false;
  const std::uint64_t value = m.negative ? 0 - m.value : m.value;
  // Of huge numbers memcached only takes those without a minus anywhere.
  if ((value >> 63) != 0 && word.find('-') != std::string_view::npos) return false;
  number = value;
  return true;
}

bool parse_u32(std::string_view word, std::uint32_t& number) noexcept {
  std::uint64_t wide = 0;
  if (!parse_u64(word, wide)) return false;
  number = static_cast<std::uint32_t>(wide);
  return true;
}

bool parse_i32(std::string_view word, std::int32_t& number) noexcept {
  Magnitude m;
  if (!parse_magnitude(word, m)) return false;
  const std::uint64_t limit = std::uint64_t{INT64_MAX} + (m.negative ? 1 : 0);
  if (m.value > limit) return false;
  number =
      static_cast<std::int32_t>(static_cast<std::uint32_t>(m.negative ? 0 - m.value : m.value));
  return true;
}

bool is_real(std::string_view word) noexcept {
  const std::string text(word);
  char* end = nullptr;
  errno = 0;
  static_cast<void>(std::strtod(text.c_str(), &end));
  return errno != ERANGE && end != text.c_str() && (*end == '\0' || is_space(*end));
}

char* write_number(char* to, std::uint64_t number) noexcept {
  return std::to_chars(to, to + 20, number).ptr;
}

char* write_number(char* to, std::int32_t number) noexcept {
  return std::to_chars(to, to + 11, number).ptr;
}

char* write_opaque(char* to, std::uint32_t opaque) noexcept {
  to[0] = 'O';
  to[1] = kDigits[(opaque >> 18) & 63];
  to[2] = kDigits[(opaque >> 12) & 63];
  to[3] = kDigits[(opaque >> 6) & 63];
  to[4] = kDigits[opaque & 63];
  return to + kOpaqueSize;
}

bool parse_opaque(std::string_view word, std::uint32_t& opaque) noexcept {
  if (word.size() != kOpaqueSize || word[0] != 'O') return false;
  std::uint32_t value = 0;
  for (std::size_t i = 1; i < kOpaqueSize; ++i) {
    const std::uint32_t digit = kDigitValues[static_cast<unsigned char>(word[i])];
    if (digit > 63) return false;
    value = value << 6 | digit;
  }
  opaque = value;
  return true;
}

}  // namespace tokenring::wire
