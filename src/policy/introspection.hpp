// Introspection: an authorization server's endpoint that knows whether tokens are good (RFC 7662),
// and what its answers say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "seal/secret.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

struct Introspection {
  static constexpr std::size_t kAnswerBytesMax = std::size_t{64} << 10;

  std::string name;  // Of its table in the file.
  std::string url;
  std::string client_id;  // Of this proxy; empty: it shows a bearer token.
  std::shared_ptr<const SecretBytes> secret = nullptr;  // Null: none.
  std::string authorities;  // PEM of who may have signed its certificate; empty: the system's.
  // The answer that is in a JWT (RFC 9701), or why it is not to be believed; empty: no JWT is.
  using OpenJwt = std::function<Result<std::string, std::string>(std::string_view jwt)>;
  OpenJwt open_jwt = nullptr;
  std::int64_t timeout_ms = 2'000;
  std::uint32_t concurrent_max = 64;
  std::uint32_t breaker_failures = 5;
  std::int64_t breaker_pause_ms = 5'000;
};

enum class Verdict : std::uint8_t { kMalformed, kInactive, kActive };

// What an answer's JSON says: an object with a boolean `active`. One that says both says no.
[[nodiscard]] Verdict read_verdict(std::string_view json) noexcept;

}  // namespace tokenring
