#include "wire/login.hpp"

#include "tokenring/parse.hpp"

namespace tokenring {

namespace {

using Kind = ParsedLogin::Kind;

// memcached's strings end at a NUL.
std::string_view until_nul(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

// Digits, and a CR where the line ended in one.
bool parse_size(std::string_view word, std::size_t& size) {
  if (word.ends_with('\r')) word.remove_suffix(1);
  if (word.empty() || word.size() > 10) return false;
  size = 0;
  for (const char c : word) {
    if (c < '0' || c > '9') return false;
    size = size * 10 + static_cast<std::size_t>(c - '0');
  }
  return size <= UINT32_MAX;
}

// The value's size, of a line that begins a login.
bool parse_line(std::string_view line, std::size_t& size) {
  std::string_view rest = until_nul(line);
  if (next_word(rest) != "set") return false;
  for (int i = 0; i < 3; ++i)
    if (next_word(rest).empty()) return false;
  return parse_size(next_word(rest), size);
}

}  // namespace

ParsedLogin parse_login(std::string_view in) noexcept {
  const std::size_t lf = in.find('\n');
  if (in.size() < 2) return {};
  if (lf == std::string_view::npos)
    return {.kind = in.size() > kLoginLineBytesMax ? Kind::kHangUp : Kind::kIncomplete};
  const std::size_t line_bytes = lf + 1;
  std::size_t size = 0;
  if (!parse_line(in.substr(0, lf), size)) return {.kind = Kind::kError, .consumed = line_bytes};
  const std::size_t value_bytes = size + 2;
  if (value_bytes > kLoginValueBytesMax) return {.kind = Kind::kHangUp};
  const std::size_t whole = line_bytes + value_bytes;
  if (in.size() < whole) return {.kind = Kind::kIncomplete, .needed = whole};
  if (in.substr(line_bytes + size, 2) != "\r\n")
    return {.kind = Kind::kError, .error = WireError::kBadTermination, .consumed = whole};
  std::string_view words = until_nul(in.substr(line_bytes, size));
  const std::string_view user = next_word(words);
  const std::string_view password = next_word(words);
  if (password.empty())
    return {.kind = Kind::kError, .error = WireError::kBadLoginFormat, .consumed = whole};
  return {.kind = Kind::kLogin, .consumed = whole, .user = user, .password = password};
}

}  // namespace tokenring
