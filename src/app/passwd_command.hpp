// tokenring passwd: a line for auth.file, with the password as a salted hash.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include "seal/password.hpp"

namespace tokenring {

struct PasswdOptions {
  std::string user;
  std::uint32_t iterations = PasswordHash::kIterationsDefault;
};

// Takes the first line of `in`, standard input, as the password; asks for it where that is a
// terminal. Returns the process's exit code.
int make_password_line(const PasswdOptions& options, Entropy& entropy, std::istream& in,
                       std::ostream& out, std::ostream& errors);

}  // namespace tokenring
