// memcached's ASCII authentication: what a client may say before it is known, and nothing else.
//
//   set <any> <any> <any> <bytes>\r\n<user> <password>\r\n
#pragma once

#include <cstddef>
#include <string_view>

#include "tokenring/command.hpp"

namespace tokenring {

// A login's line without its LF, and its value; more closes the connection, as memcached does.
inline constexpr std::size_t kLoginLineBytesMax = 2048;
inline constexpr std::size_t kLoginValueBytesMax = 16384;

struct ParsedLogin {
  enum class Kind : std::uint8_t {
    kIncomplete,  // `needed` bytes in all would complete it, as far as is known now.
    kLogin,       // `user` and `password` are there. They borrow from the bytes given.
    kError,       // Answer with `error`, go on.
    kHangUp,      // Close without a word.
  };
  Kind kind = Kind::kIncomplete;
  WireError error = WireError::kUnauthenticated;
  std::size_t consumed = 0;
  std::size_t needed = 0;
  std::string_view user = {};
  std::string_view password = {};
};

// Takes the first command of `in` as memcached 1.6.18 does (try_read_command_asciiauth).
[[nodiscard]] ParsedLogin parse_login(std::string_view in) noexcept;

}  // namespace tokenring
