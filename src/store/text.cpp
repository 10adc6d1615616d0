#include "store/text.hpp"

#include <array>
#include <limits>

#include "base/assert.hpp"

namespace tokenring::store {

namespace {

// isspace() of the C locale.
bool is_space(char c) noexcept {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

struct Integer {
  std::uint64_t magnitude;
  bool negative;
};

// What strtoull accepts in base 10, with the checks memcached puts behind it.
std::optional<Integer> read_integer(std::string_view text) noexcept {
  std::size_t at = 0;
  while (at < text.size() && is_space(text[at])) ++at;
  Integer number{0, at < text.size() && text[at] == '-'};
  if (at < text.size() && (text[at] == '-' || text[at] == '+')) ++at;
  const std::size_t first_digit = at;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
    const auto digit = static_cast<std::uint64_t>(text[at] - '0');
    if (number.magnitude > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) return {};
    number.magnitude = number.magnitude * 10 + digit;
  }
  if (at == first_digit) return {};
  if (at < text.size() && !is_space(text[at]) && text[at] != '\0') return {};
  return number;
}

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNotInAlphabet = 0x80;

// The padding character counts as a zero.
constexpr auto kDigits = [] {
  std::array<std::uint8_t, 256> digits{};
  digits.fill(kNotInAlphabet);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    digits[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  digits['='] = 0;
  return digits;
}();

std::uint8_t digit_of(char c) noexcept {
  return kDigits[static_cast<unsigned char>(c)];
}

}  // namespace

std::optional<std::uint64_t> read_u64(std::string_view text) noexcept {
  const auto number = read_integer(text);
  if (!number) return {};
  const std::uint64_t value = number->negative ? 0 - number->magnitude : number->magnitude;
  // safe_strtoull looks for a sign only where the top bit is set, and then anywhere.
  if (value >> 63 == 1 && text.find('-') != std::string_view::npos) return {};
  return value;
}

std::optional<std::uint32_t> read_u32(std::string_view text) noexcept {
  const auto value = read_u64(text);
  if (!value) return {};
  return static_cast<std::uint32_t>(*value);
}

std::optional<std::int32_t> read_i32(std::string_view text) noexcept {
  const auto number = read_integer(text);
  if (!number) return {};
  constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
  if (number->magnitude > kMax + (number->negative ? 1 : 0)) return {};
  const std::uint64_t value = number->negative ? 0 - number->magnitude : number->magnitude;
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(value));
}

void encode_base64(std::string_view bytes, char* to) noexcept {
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t n) -> std::uint32_t {
      return i + n < bytes.size() ? static_cast<unsigned char>(bytes[i + n]) : 0;
    };
    const std::uint32_t group = byte(0) << 16 | byte(1) << 8 | byte(2);
    *to++ = kAlphabet[group >> 18];
    *to++ = kAlphabet[group >> 12 & 63];
    *to++ = i + 1 < bytes.size() ? kAlphabet[group >> 6 & 63] : '=';
    *to++ = i + 2 < bytes.size() ? kAlphabet[group & 63] : '=';
  }
}

std::size_t decode_base64(std::string_view text, std::span<char> to) noexcept {
  TR_ASSERT(to.size() >= text.size());
  std::size_t digits = 0;
  for (const char c : text) digits += digit_of(c) != kNotInAlphabet ? 1U : 0U;
  if (digits == 0 || digits % 4 != 0) return 0;

  std::size_t written = 0;
  std::uint32_t group = 0;
  std::size_t in_group = 0;
  std::size_t padding = 0;
  for (const char c : text) {
    const std::uint8_t digit = digit_of(c);
    if (digit == kNotInAlphabet) continue;
    padding += c == '=' ? 1U : 0U;
    group = group << 6 | digit;
    if (++in_group < 4) continue;
    to[written++] = static_cast<char>(group >> 16);
    to[written++] = static_cast<char>(group >> 8);
    to[written++] = static_cast<char>(group);
    group = 0;
    in_group = 0;
    if (padding > 2) return 0;
    if (padding > 0) return written - padding;
  }
  return written;
}

}  // namespace tokenring::store
