#include "app/key_file.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "app/key_text.hpp"
#include "app/private_file.hpp"

namespace tokenring {

KeyringResult read_key_file(const std::string& path) {
  const auto file = open_private_file(path);
  if (!file) return unexpected(file.error());
  KeyText text;
  while (!text.full()) {
    const ssize_t count = text.read_from(file->get());
    if (count == 0) break;
    if (count < 0 && errno != EINTR)
      return unexpected(fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
  }
  return Keyring::parse(text.view(), path);
}

KeyringResult read_key_credential(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..")
    return unexpected(std::string("a credential is a name without a path"));
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || directory[0] != '/') {
    return unexpected(fmt::format(
        "credential {}: CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential=", name));
  }
  return read_key_file(fmt::format("{}/{}", directory, name));
}

}  // namespace tokenring
