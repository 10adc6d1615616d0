#include "seal/password.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <charconv>

#include "base/assert.hpp"
#include "seal/bytes.hpp"

namespace tokenring {

namespace {

// What stands before the next $, which is taken off too.
std::string_view next_part(std::string_view& text) {
  const std::size_t end = text.find('$');
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

std::string base64_of(std::span<const unsigned char> bytes) {
  std::string text(base64_size(bytes.size()), '\0');
  encode_key_base64(bytes, text.data());
  return text;
}

}  // namespace

Result<PasswordHash, std::string> parse_password_hash(std::string_view text) {
  if (text.starts_with('$')) text.remove_prefix(1);
  if (next_part(text) != kPasswordScheme)
    return unexpected(fmt::format("is of an unknown scheme; the one here is {}", kPasswordScheme));
  PasswordHash hash;
  const std::string_view iterations = next_part(text);
  const auto number =
      std::from_chars(iterations.data(), iterations.data() + iterations.size(), hash.iterations);
  if (number.ec != std::errc() || number.ptr != iterations.data() + iterations.size() ||
      hash.iterations < PasswordHash::kIterationsMin ||
      hash.iterations > PasswordHash::kIterationsMax) {
    return unexpected(fmt::format("has no number of iterations from {} to {}",
                                  PasswordHash::kIterationsMin, PasswordHash::kIterationsMax));
  }
  if (!decode_key_base64(next_part(text), hash.salt))
    return unexpected(fmt::format("has no salt of {} bytes in base64", hash.salt.size()));
  if (!decode_key_base64(text, hash.hash))
    return unexpected(fmt::format("has no hash of {} bytes in base64", hash.hash.size()));
  return hash;
}

std::string text_of(const PasswordHash& hash) {
  return fmt::format("${}${}${}${}", kPasswordScheme, hash.iterations, base64_of(hash.salt),
                     base64_of(hash.hash));
}

Result<PasswordHash, std::string> hash_password(std::string_view password, std::uint32_t iterations,
                                                Entropy& entropy) {
  PasswordHash hash{.iterations = iterations};
  if (!entropy.fill(hash.salt)) return unexpected(std::string("there is no entropy for a salt"));
  hash.hash = derive_password(password, hash.salt, iterations);
  return hash;
}

Mac derive_password(std::string_view password, const std::array<unsigned char, 16>& salt,
                    std::uint32_t iterations) noexcept {
  Mac mac;
  const int done =
      PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), salt.data(),
                        static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                        static_cast<int>(mac.size()), mac.data());
  TR_ASSERT(done == 1);
  return mac;
}

}  // namespace tokenring
