// A file of users: whatever it holds, it is read or refused, an error shows no password, and what
// was read is what the file says.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/assert.hpp"
#include "policy/users.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tokenring;
  static const auto key = std::make_shared<const HmacKey>(std::array<unsigned char, 32>{1, 2, 3});
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto book = UserBook::parse(text, "users", key);
  if (!book) {
    TR_ASSERT(book.error().starts_with("users:"));
    TR_ASSERT(book.error().find('\n') == std::string::npos);
    return 0;
  }
  std::size_t plain = 0;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const std::size_t colon = line.find(':');
    TR_ASSERT(colon != std::string_view::npos);
    const LoginView login{line.substr(0, colon), line.substr(colon + 1)};
    TR_ASSERT((*book)->has(login.user));
    if ((*book)->has_plain((*book)->mac_of(login))) ++plain;
  }
  std::size_t hashed = 0;
  for (const UserEntry& entry : (*book)->entries()) hashed += entry.hash ? 1U : 0U;
  TR_ASSERT(plain + hashed >= (*book)->entries().size());
  TR_ASSERT(!(*book)->has_plain((*book)->mac_of({"no user:", "no password"})));
  TR_ASSERT((*book)->has_hashes() == (hashed > 0));
  return 0;
}
