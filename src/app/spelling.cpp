#include "app/spelling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <vector>

namespace tokenring {

namespace {

constexpr std::size_t kQuotedBytesMax = 80;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_escape(std::string_view text) {
  return text.size() >= 4 && text[0] == '\\' && text[1] == 'x' && hex_digit(text[2]) >= 0 &&
         hex_digit(text[3]) >= 0;
}

void append_hex(std::string& to, char c) {
  fmt::format_to(std::back_inserter(to), "\\x{:02X}", static_cast<unsigned char>(c));
}

// Whether one is the other with something added, as in "warn" and "warning".
bool extends(std::string_view a, std::string_view b) {
  constexpr std::size_t kShared = 3;
  return std::min(a.size(), b.size()) >= kShared && (a.starts_with(b) || b.starts_with(a));
}

// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1,
                                             std::vector<std::size_t>(b.size() + 1, 0));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      const std::size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kQuotedBytesMax)) {
    if (c == '"' || c == '\\')
      out.append({'\\', c});
    else if (c >= ' ' && c <= '~')
      out += c;
    else
      append_hex(out, c);
  }
  out += text.size() > kQuotedBytesMax ? "...\"" : "\"";
  return out;
}

std::string escaped_key(std::string_view key) {
  std::string out;
  for (std::size_t i = 0; i < key.size(); ++i) {
    if (key[i] < '!' || key[i] > '~' || is_escape(key.substr(i)))
      append_hex(out, key[i]);
    else
      out += key[i];
  }
  return out;
}

std::string unescaped_key(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_escape(text.substr(i))) {
      out += static_cast<char>(hex_digit(text[i + 2]) * 16 + hex_digit(text[i + 3]));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view closest(std::string_view word, std::span<const std::string_view> candidates) {
  constexpr std::size_t kWordBytesMax = 64;
  if (word.size() > kWordBytesMax) return {};
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;  // One too far.
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = extends(word, candidate) ? 1 : edit_distance(word, candidate);
    if (distance >= best_distance) continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

std::string suggestion(std::string_view word, std::string_view what,
                       std::span<const std::string_view> candidates) {
  if (const std::string_view guess = closest(word, candidates); !guess.empty())
    return fmt::format("did you mean \"{}\"?", guess);
  return fmt::format("{} {}", what, fmt::join(candidates, ", "));
}

}  // namespace tokenring
