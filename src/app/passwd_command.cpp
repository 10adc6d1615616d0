#include "app/passwd_command.hpp"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <istream>
#include <ostream>

#include "policy/users.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

// Where standard input is a terminal: asks there, and shows nothing of what is typed.
class QuietTerminal {
 public:
  explicit QuietTerminal(std::ostream& prompts)
      : prompts_(prompts), is_quiet_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!is_quiet_) return;
    termios quiet = before_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    prompts_ << "password: " << std::flush;
  }
  ~QuietTerminal() {
    if (!is_quiet_) return;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    prompts_ << '\n';
  }
  QuietTerminal(const QuietTerminal&) = delete;
  QuietTerminal& operator=(const QuietTerminal&) = delete;

 private:
  std::ostream& prompts_;
  termios before_{};
  bool is_quiet_;
};

}  // namespace

int make_password_line(const PasswdOptions& options, Entropy& entropy, std::istream& in,
                       std::ostream& out, std::ostream& errors) {
  std::string password;
  {
    const QuietTerminal quiet(errors);
    std::getline(in, password);
  }
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
