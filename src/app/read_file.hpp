// Reading a file that an operator names.
#pragma once

#include <cstddef>
#include <string>

namespace tokenring {

// Appends the whole file to `into`; `limit` bytes at most, so that a device in its place ends too.
// 0 or an errno.
[[nodiscard]] int read_file(const std::string& path, std::size_t limit, std::string& into);
// The same of one that is open.
[[nodiscard]] int read_file(int file, std::size_t limit, std::string& into);

}  // namespace tokenring
