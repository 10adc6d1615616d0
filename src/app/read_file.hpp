// Reading a file that an operator names.
#pragma once

#include <cstddef>
#include <string>

#include "tokenring/result.hpp"

namespace tokenring {

// Appends the whole file to `into`; `limit` bytes at most, so that a device in its place ends too.
// 0 or an errno.
[[nodiscard]] int read_file(const std::string& path, std::size_t limit, std::string& into);
// The same of one that is open.
[[nodiscard]] int read_file(int file, std::size_t limit, std::string& into);

inline constexpr std::size_t kPemBytesMax = std::size_t{1} << 20;
// A file of certificates or other PEM. The error is "PATH: why".
[[nodiscard]] Result<std::string, std::string> read_pem(const std::string& path);

}  // namespace tokenring
