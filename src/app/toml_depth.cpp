#include "app/toml_depth.hpp"

#include <algorithm>

namespace tokenring {

namespace {

// How many bytes the string or comment at the start of `text` has; 0 when neither starts there.
std::size_t opaque_bytes(std::string_view text) {
  if (text[0] == '#') return std::min(text.find('\n'), text.size());
  if (text[0] != '"' && text[0] != '\'') return 0;
  const char quote = text[0];
  const bool triple = text.size() >= 3 && text[1] == quote && text[2] == quote;
  std::size_t i = triple ? 3 : 1;
  for (std::size_t quotes = 0; i < text.size(); ++i) {
    if (!triple && text[i] == '\n') break;
    if (quote == '"' && text[i] == '\\') {
      quotes = 0;
      ++i;
      continue;
    }
    quotes = text[i] == quote ? quotes + 1 : 0;
    if (quotes < (triple ? 3U : 1U)) continue;
    // A string of this kind may end in up to two quotes of its own.
    for (int own = 0; triple && own < 2 && i + 1 < text.size() && text[i + 1] == quote; ++own) ++i;
    return i + 1;
  }
  return std::min(i, text.size());
}

}  // namespace

std::optional<Position> too_deep(std::string_view text) {
  Position at{1, 1};
  int brackets = 0;
  int dots = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t opaque = opaque_bytes(text.substr(i));
    const std::string_view step = text.substr(i, opaque > 0 ? opaque : 1);
    switch (opaque > 0 ? '\0' : text[i]) {
      case '[':
      case '{':
        ++brackets;
        dots = 0;
        break;
      case ']':
      case '}':
        --brackets;
        break;
      case '.':
        ++dots;
        break;
      case ',':
      case '=':
      case '\n':
        dots = 0;
        break;
      default:
        break;
    }
    if (brackets > kTomlDepthMax || dots > kTomlDepthMax) return at;
    for (const char c : step) {
      ++at.column;
      if (c == '\n') at = {at.line + 1, 1};
    }
    i += step.size();
  }
  return std::nullopt;
}

}  // namespace tokenring
