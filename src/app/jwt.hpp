// Signed JSON Web Tokens (RFC 7519) of somebody whose keys are in a file (a JWK Set, RFC 7517).
//
// cjose checks the signatures. Only signatures of a private key count: RS, PS and ES of 256, 384
// and 512 bits; "none" and shared secrets do not.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenring/result.hpp"

namespace tokenring {

// Why a token is not believed: it is none, nobody's key that is known here could have signed it, or
// one could have and did not.
enum class JwtFault : std::uint8_t { kForm, kKey, kSignature };

struct JwtRefusal {
  JwtFault fault = JwtFault::kForm;
  std::string why;  // Nothing of the token.
};

class JwkSet {
 public:
  static constexpr std::size_t kKeysMax = 64;

  // `text`: {"keys": [...]}. Keys of kinds that sign nothing here are passed over. The error is one
  // line without the file's name.
  [[nodiscard]] static Result<JwkSet, std::string> parse(std::string_view text);
  JwkSet(JwkSet&&) noexcept;
  JwkSet& operator=(JwkSet&&) noexcept;
  ~JwkSet();

  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }
  // What a token in compact form says, if one of the keys signed it. `type`: what its typ must be;
  // empty: anything.
  [[nodiscard]] Result<std::string, JwtRefusal> verify(std::string_view token,
                                                       std::string_view type = {}) const;

 private:
  struct Key;
  JwkSet() noexcept;
  std::vector<std::unique_ptr<const Key>> keys_;
};

}  // namespace tokenring
