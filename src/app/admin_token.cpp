#include "app/admin_token.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "app/private_file.hpp"

namespace tokenring {

Result<std::string, std::string> read_admin_token(const Config& config) {
  const std::string& path = config.admin.token_file;
  if (path.empty() || config.admin.listen.empty()) return std::string();
  const auto bad = [&](std::string_view what) {
    return unexpected(fmt::format("{}: {}", path, what));
  };
  const auto file = open_private_file(path);
  if (!file) return unexpected(file.error());
  std::string token(kTokenBytesMax + 2, '\0');  // An end of line and one more, which shows.
  std::size_t size = 0;
  while (size < token.size()) {
    const ssize_t count = ::read(file->get(), token.data() + size, token.size() - size);
    if (count == 0) break;
    if (count < 0 && errno != EINTR)
      return bad(fmt::format("cannot read: {}", std::strerror(errno)));
    size += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  }
  token.resize(size);
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

bool is_same_token(std::string_view given, std::string_view token) noexcept {
  if (given.size() != token.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < token.size(); ++i)
    difference |= static_cast<unsigned>(given[i] ^ token[i]);
  // Or the compiler might end the loop early.
  const volatile unsigned all = difference;
  return all == 0;
}

}  // namespace tokenring
