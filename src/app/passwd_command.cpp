#include "app/passwd_command.hpp"

#include <fmt/format.h>

#include <istream>
#include <ostream>

#include "policy/users.hpp"
#include "seal/secret.hpp"

namespace tokenring {

int make_password_line(const PasswdOptions& options, Entropy& entropy, std::istream& in,
                       std::ostream& out, std::ostream& errors) {
  std::string password;
  std::getline(in, password);
  if (password.ends_with('\r')) password.pop_back();
  const auto fail = [&](std::string_view what) {
    wipe(password.data(), password.size());
    errors << "tokenring: " << what << '\n';
    return 1;
  };
  const auto is_word = [](std::string_view text) {
    return !text.empty() && text.find_first_of(" \t\r\n") == std::string_view::npos &&
           text.find('\0') == std::string_view::npos;
  };
  if (!is_word(options.user) || options.user.find(':') != std::string::npos)
    return fail("the user is one word without a :");
  if (!is_word(password)) return fail("no password on standard input; give a line with one word");
  const auto hash = hash_password(password, options.iterations, entropy);
  if (!hash) return fail(hash.error());
  const std::string line = fmt::format("{}:{}", options.user, text_of(*hash));
  if (line.size() > UserBook::kLineBytesMax) return fail("the user's name is too long");
  wipe(password.data(), password.size());
  out << line << '\n';
  return 0;
}

}  // namespace tokenring
