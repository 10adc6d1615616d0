// The token that the admin port asks for.
#pragma once

#include <cstddef>
#include <string>

#include "app/config.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

inline constexpr std::size_t kTokenBytesMin = 16;
inline constexpr std::size_t kTokenBytesMax = 1024;

// What admin.token_file holds: one line of printable characters, in a file that is closed to others
// (see private_file.hpp). Empty: none is asked for. The error is one line and shows
// nothing of it.
[[nodiscard]] Result<std::string, std::string> read_admin_token(const Config& config);

}  // namespace tokenring
