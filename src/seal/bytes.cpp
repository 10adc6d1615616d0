#include "seal/bytes.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kUrlAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// All ones if low <= c <= high, else zero.
constexpr unsigned within(unsigned c, unsigned low, unsigned high) noexcept {
  return 0U - (((low - 1 - c) & (c - high - 1)) >> 31);
}

// 0 to 63, or 64 for what is no base64.
constexpr unsigned value_of(unsigned c) noexcept {
  unsigned value = 64;
  value ^= within(c, 'A', 'Z') & (64 ^ (c - 'A'));
  value ^= within(c, 'a', 'z') & (64 ^ (c - 'a' + 26));
  value ^= within(c, '0', '9') & (64 ^ (c - '0' + 52));
  value ^= within(c, '+', '+') & (64 ^ 62);
  value ^= within(c, '/', '/') & (64 ^ 63);
  return value;
}

constexpr char character_of(unsigned value) noexcept {
  unsigned c = within(value, 26, 51) & (value - 26 + 'a');
  c |= within(value + 1, 1, 26) & (value + 'A');
  c |= within(value, 52, 61) & (value - 52 + '0');
  c |= within(value, 62, 62) & '+';
  c |= within(value, 63, 63) & '/';
  return static_cast<char>(c);
}

}  // namespace

bool decode_key_base64(std::string_view text, std::span<unsigned char> out) noexcept {
  if (text.size() != base64_size(out.size())) return false;
  const std::size_t padding = (3 - out.size() % 3) % 3;
  unsigned bits = 0;
  unsigned held = 0;
  unsigned bad = 0;
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i >= text.size() - padding) {
      bad |= text[i] == '=' ? 0U : 1U;
      continue;
    }
    const unsigned value = value_of(static_cast<unsigned char>(text[i]));
    bad |= value & 64;
    bits = bits << 6 | (value & 63);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out[done++] = static_cast<unsigned char>(bits >> held);
  }
  bad |= bits & ((1U << held) - 1);  // Another spelling of the same bytes.
  return bad == 0;
}

void encode_key_base64(std::span<const unsigned char> in, char* out) noexcept {
  for (std::size_t i = 0; i < in.size(); i += 3) {
    const std::size_t left = in.size() - i;
    const unsigned bits = unsigned{in[i]} << 16 | (left > 1 ? unsigned{in[i + 1]} << 8 : 0U) |
                          (left > 2 ? unsigned{in[i + 2]} : 0U);
    *out++ = character_of(bits >> 18);
    *out++ = character_of(bits >> 12 & 63);
    *out++ = left > 1 ? character_of(bits >> 6 & 63) : '=';
    *out++ = left > 2 ? character_of(bits & 63) : '=';
  }
}

char* encode_base64url(std::span<const unsigned char> in, char* out) noexcept {
  std::size_t i = 0;
  for (; i + 3 <= in.size(); i += 3) {
    const unsigned bits = unsigned{in[i]} << 16 | unsigned{in[i + 1]} << 8 | in[i + 2];
    for (const unsigned shift : {18U, 12U, 6U, 0U}) *out++ = kUrlAlphabet[bits >> shift & 63];
  }
  const std::size_t left = in.size() - i;
  if (left == 0) return out;
  const unsigned bits = unsigned{in[i]} << 8 | (left > 1 ? unsigned{in[i + 1]} : 0U);
  *out++ = kUrlAlphabet[bits >> 10 & 63];
  *out++ = kUrlAlphabet[bits >> 4 & 63];
  if (left > 1) *out++ = kUrlAlphabet[bits << 2 & 63];
  return out;
}

}  // namespace tokenring
