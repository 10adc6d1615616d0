// Claims: what a token's value says of its own life. Read only to shorten a life, never as
// authority: no signature is checked.
//
// Understood are a compact JWT (RFC 7519), a JSON object such as a token response (RFC 6749) or an
// introspection response (RFC 7662), and token_introspection inside of either (RFC 9701). Values
// are hostile: what is not understood says nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "tokenring/units.hpp"

namespace tokenring {

struct Claims {
  bool understood = false;  // A JWT or a JSON object.
  // The earliest end that is named: exp, expires_at, or expires_in after iat (now, without one).
  // At least 1. A token that ends before it begins (nbf, iat) never lived: then 1.
  std::optional<UnixTime> exp = {};
  std::optional<UnixTime> iat = {};  // Unless it is in the future, which nothing can be.
  bool inactive = false;             // "active": false, a negative entry.
};

// One for each thread; keeps a parser and a buffer of some 1 MiB, made at the first value.
class ClaimsReader {
 public:
  static constexpr std::size_t kValueBytesMax = std::size_t{64} << 10;  // Larger is no token.
  static constexpr std::size_t kDepthMax = 32;
  static constexpr std::int64_t kClockSkewSeconds = 300;  // How far ahead an issuer's clock may be.

  ClaimsReader() noexcept;
  ~ClaimsReader();
  ClaimsReader(const ClaimsReader&) = delete;
  ClaimsReader& operator=(const ClaimsReader&) = delete;

  // Allocates nothing but at the first call.
  [[nodiscard]] Claims read(std::string_view value, UnixTime now) noexcept;

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

// Unix seconds of an RFC 3339 date and time: "2026-11-24T18:29:00.5+01:00".
[[nodiscard]] std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept;

}  // namespace tokenring
