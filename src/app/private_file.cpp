#include "app/private_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "app/read_file.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

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

// What is lent to this process: by systemd through an ACL, by Kubernetes through the pod's group.
// Both show as a group that may read.
bool is_credential(const std::string& path) {
  const char* const directory = std::getenv("CREDENTIALS_DIRECTORY");
  return directory != nullptr && directory[0] == '/' &&
         path.starts_with(std::string(directory) + "/");
}

}  // namespace

Result<Fd, std::string> open_private_file(const std::string& path) {
  const mode_t forbidden = is_credential(path) ? kModeOfOthers & ~mode_t{S_IRGRP} : kModeOfOthers;
  // Non-blocking, or opening a FIFO would wait for its writer.
  Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    return unexpected(errno == ELOOP
                          ? fmt::format("{}: is a symbolic link; name the file itself", path)
                          : fmt::format("{}: cannot read: {}", path, std::strerror(errno)));
  }
  if (std::string error = bad_file(file.get(), forbidden); !error.empty())
    return unexpected(fmt::format("{}: {}", path, error));
  return file;
}

Result<std::string, std::string> read_private_file(const std::string& path, std::size_t limit) {
  const auto file = open_private_file(path);
  if (!file) return unexpected(file.error());
  std::string text;
  text.reserve(limit);
  if (const int error = read_file(file->get(), limit, text); error != 0) {
    wipe(text);
    return unexpected(fmt::format("{}: cannot read: {}", path, std::strerror(error)));
  }
  return text;
}

}  // namespace tokenring
