#include "app/key_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "app/key_text.hpp"

namespace tokenring {

namespace {

constexpr mode_t kForOthers = 077;        // Nothing may be set of this.
constexpr mode_t kForOthersOfLent = 037;  // The same where an ACL lends the file.

// What is wrong with the file behind a descriptor; empty when nothing is.
std::string bad_file(int file, mode_t forbidden) {
  struct stat found = {};
  if (fstat(file, &found) != 0) return fmt::format("cannot look at it: {}", std::strerror(errno));
  if (!S_ISREG(found.st_mode)) return "is no regular file; give one";
  if (found.st_uid != geteuid() && found.st_uid != 0) {
    return fmt::format("belongs to user {}; it must belong to this process's user or root",
                       found.st_uid);
  }
  if ((found.st_mode & forbidden) != 0) {
    return fmt::format("has mode {:04o}, which lets others in; chmod 600 closes it",
                       static_cast<unsigned>(found.st_mode & 07777));
  }
  return {};
}

KeyringResult read_keys(const std::string& path, mode_t forbidden) {
  // Non-blocking, or opening a FIFO would wait for its writer.
  const KeyDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) {
    return unexpected(errno == ELOOP
                          ? fmt::format("{}: is a symbolic link; name the file itself", path)
                          : fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
  }
  if (std::string error = bad_file(file.get(), forbidden); !error.empty())
    return unexpected(fmt::format("{}: {}", path, error));
  KeyText text;
  while (!text.full()) {
    const ssize_t count = text.read_from(file.get());
    if (count == 0) break;
    if (count < 0 && errno != EINTR)
      return unexpected(fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
  }
  return Keyring::parse(text.view(), path);
}

}  // namespace

KeyringResult read_key_file(const std::string& path) {
  return read_keys(path, kForOthers);
}

KeyringResult read_key_credential(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name == "." || name == "..")
    return unexpected(std::string("a credential is a name without a path"));
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || directory[0] != '/') {
    return unexpected(fmt::format(
        "credential {}: CREDENTIALS_DIRECTORY is not set; the unit needs LoadCredential=", name));
  }
  return read_keys(fmt::format("{}/{}", directory, name), kForOthersOfLent);
}

}  // namespace tokenring
