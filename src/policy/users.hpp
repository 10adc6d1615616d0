// Users: what a file of users says, as memcached's -Y reads it, and whether a password is right.
//
// A line is user:password, where the password may be a salted hash (see seal/password.hpp). What is
// kept of a plain password is its HMAC under a key of this process, so that no password stays in
// memory, and to compare one takes the same time whoever is asked for.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "seal/hmac.hpp"
#include "seal/password.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

// What a client says of itself. Borrows.
struct LoginView {
  std::string_view user;
  std::string_view password;
};

struct UserEntry {
  std::string user;
  Mac mac{};                                        // Of a plain password.
  std::optional<PasswordHash> hash = std::nullopt;  // In place of it.
};

// Immutable: any number of threads may use one.
class UserBook {
 public:
  // A line of memcached's may have 255 bytes; its file 8 lines, ours more.
  static constexpr std::size_t kLineBytesMax = 255;
  static constexpr std::size_t kUsersMax = 1024;
  static constexpr std::size_t kFileBytesMax = kUsersMax * (kLineBytesMax + 2);

  // A user may stand there several times, each with another password. The error is one line,
  // FILE:LINE: what is wrong, and shows no password.
  [[nodiscard]] static Result<std::shared_ptr<const UserBook>, std::string> parse(
      std::string_view text, std::string_view file_name, std::shared_ptr<const HmacKey> key);

  [[nodiscard]] const std::vector<UserEntry>& entries() const noexcept { return entries_; }
  [[nodiscard]] bool has(std::string_view user) const noexcept;

  // Stands for user and password.
  [[nodiscard]] Mac mac_of(const LoginView& login) const noexcept;
  // Whether it is that of a plain password here. Looks at all.
  [[nodiscard]] bool has_plain(const Mac& mac) const noexcept;

  // Whether some password is a salted hash.
  [[nodiscard]] bool has_hashes() const noexcept { return iterations_ > 0; }
  // The entry whose salted hash it fits. Slow, and as slow for a user who is not here.
  [[nodiscard]] const UserEntry* find_hashed(const LoginView& login) const noexcept;

 private:
  [[nodiscard]] std::string add_line(std::string_view line);

  std::shared_ptr<const HmacKey> key_;
  std::vector<UserEntry> entries_;
  std::uint32_t iterations_ = 0;  // Of the user who takes most, all entries together.
};

}  // namespace tokenring
