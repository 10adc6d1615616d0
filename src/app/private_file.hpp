// Files that nobody else may read: keys, tokens.
#pragma once

#include <sys/types.h>

#include <string>

#include "io/socket.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

inline constexpr mode_t kModeOfOthers = 077;

// Opens a regular file, no link, of this user or root, whose mode has nothing of kModeOfOthers; a
// group may read what lies in $CREDENTIALS_DIRECTORY. The error is one line.
[[nodiscard]] Result<Fd, std::string> open_private_file(const std::string& path);

// The text of such a file, `limit` bytes of it at most, of which no copy is left behind: to be
// wiped by whom it is given to. The error is one line.
[[nodiscard]] Result<std::string, std::string> read_private_file(const std::string& path,
                                                                 std::size_t limit);

}  // namespace tokenring
