// What the tests of the seal room share: keys, entropy that repeats, and bytes as text.
#pragma once

#include <doctest/doctest.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "seal_keys.hpp"
#include "seeded_entropy.hpp"
#include "tokenring/envelope.hpp"

namespace tokenring::seal_kit {

inline constexpr UnixTime kNow{1'790'000'000};
inline constexpr NamespaceId kSess{0};
inline constexpr NamespaceId kAuth{1};

inline std::shared_ptr<const Keyring> keyring_of(std::string_view text) {
  auto ring = Keyring::parse(text, "keys");
  if (!ring) FAIL(ring.error());
  return *std::move(ring);
}

inline std::shared_ptr<const NamespaceKeys> namespace_keys(std::string_view text = kKeyFile) {
  const std::vector<std::string> names{"sess", "auth_token:", ""};
  return NamespaceKeys::derive(*keyring_of(text), names);
}

inline std::string bytes_of_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

inline std::string hex_of(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

inline std::string sealed(Sealer& sealer, const ValueIdentity& identity, std::string_view plain,
                          const SealOptions& options = {}, UnixTime now = kNow) {
  std::string out(sealed_size(plain.size(), options.generation.has_value()), '\0');
  REQUIRE(sealer.seal(identity, plain, options, now, out.data()) == out.size());
  return out;
}

struct Opened {
  OpenResult result;
  std::string plain;  // All that the buffer holds.
};

inline Opened opened(Sealer& sealer, const ValueIdentity& identity, std::string_view sealed,
                     UnixTime now = kNow) {
  Opened opened;
  opened.plain.assign(sealed.size(), '\0');
  opened.result = sealer.open(identity, sealed, now, opened.plain.data());
  if (opened.result.opened()) opened.plain.resize(opened.result.size);
  return opened;
}

}  // namespace tokenring::seal_kit
