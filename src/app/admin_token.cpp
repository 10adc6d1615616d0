#include "app/admin_token.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/private_file.hpp"

namespace tokenring {

Result<std::string, std::string> read_admin_token(const Config& config) {
  const std::string& path = config.admin.token_file;
  if (path.empty() || config.admin.listen.empty()) return std::string();
  const auto bad = [&](std::string_view what) {
    return unexpected(fmt::format("{}: {}: {}", config.admin.token_at, path, what));
  };
  auto text =
      read_private_file(path, kTokenBytesMax + 2);  // An end of line and one more, which shows.
  if (!text) return unexpected(fmt::format("{}: {}", config.admin.token_at, text.error()));
  std::string token = *std::move(text);
  if (token.ends_with('\n')) token.pop_back();
  if (token.size() < kTokenBytesMin || token.size() > kTokenBytesMax)
    return bad(
        fmt::format("is no token; give one of {} to {} characters, such as `openssl rand -hex 32` "
                    "makes",
                    kTokenBytesMin, kTokenBytesMax));
  if (!std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c <= '~'; }))
    return bad("has a character that no token has; give one line without blanks");
  return token;
}

}  // namespace tokenring
