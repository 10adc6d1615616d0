// Passwords as salted hashes: PBKDF2-HMAC-SHA-256 (RFC 8018), one of the slow hashes that OpenSSL
// has, and the one whose work is a number that can be compared and made equal.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "seal/hmac.hpp"
#include "tokenring/envelope.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

// What a hash begins with in a file of users: $pbkdf2-sha256$ITERATIONS$SALT$HASH, both in base64.
inline constexpr std::string_view kPasswordScheme = "pbkdf2-sha256";

struct PasswordHash {
  static constexpr std::uint32_t kIterationsMin = 1'000;
  static constexpr std::uint32_t kIterationsMax = 10'000'000;
  static constexpr std::uint32_t kIterationsDefault = 600'000;

  std::uint32_t iterations = kIterationsDefault;
  std::array<unsigned char, 16> salt{};
  Mac hash{};
  friend bool operator==(const PasswordHash&, const PasswordHash&) = default;
};

// The error says what is wrong and shows nothing of it.
[[nodiscard]] Result<PasswordHash, std::string> parse_password_hash(std::string_view text);
[[nodiscard]] std::string text_of(const PasswordHash& hash);

// With a new salt; the error is that there was no entropy.
[[nodiscard]] Result<PasswordHash, std::string> hash_password(std::string_view password,
                                                              std::uint32_t iterations,
                                                              Entropy& entropy);

// Slow, in proportion to the iterations.
[[nodiscard]] Mac derive_password(std::string_view password,
                                  const std::array<unsigned char, 16>& salt,
                                  std::uint32_t iterations) noexcept;

}  // namespace tokenring
