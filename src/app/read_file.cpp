#include "app/read_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/socket.hpp"

namespace tokenring {

int read_file(int file, std::size_t limit, std::string& into) {
  int error = 0;
  ssize_t got = 1;
  while (got > 0 && into.size() < limit) {
    char piece[65536];
    got = read(file, piece, std::min(sizeof piece, limit - into.size()));
    if (got < 0) {
      error = errno;
      if (error != EINTR) break;
      error = 0;
      got = 1;
    } else {
      into.append(piece, static_cast<std::size_t>(got));
    }
  }
  return error;
}

Result<std::string, std::string> read_pem(const std::string& path) {
  std::string text;
  if (const int error = read_file(path, kPemBytesMax, text); error != 0)
    return unexpected(fmt::format("{}: cannot read: {}", path, std::strerror(error)));
  return text;
}

int read_file(const std::string& path, std::size_t limit, std::string& into) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file ? read_file(file.get(), limit, into) : errno;
}

}  // namespace tokenring
