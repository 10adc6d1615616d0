// Any value as a token: whatever it says, the claims keep what they promise.
#include "policy/claims.hpp"
#include "base/assert.hpp"

using namespace tokenring;

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static ClaimsReader reader;
  constexpr UnixTime kNow{1'790'000'000};
  const std::string_view value(reinterpret_cast<const char*>(data), size);
  const Claims claims = reader.read(value, kNow);
  TR_ASSERT(claims.understood || (!claims.exp && !claims.iat && !claims.inactive));
  if (claims.exp) TR_ASSERT(claims.exp->seconds >= 1);
  if (claims.iat) TR_ASSERT(claims.iat->seconds >= 1 && *claims.iat <= kNow);
  static_cast<void>(parse_rfc3339(value));
  // The same again: nothing of a value may stay behind.
  const Claims again = reader.read(value, kNow);
  TR_ASSERT(again.exp == claims.exp && again.iat == claims.iat &&
            again.inactive == claims.inactive);
  return 0;
}
