// What an authorization server answers, by its first byte: JSON, a JWT, or what one says.
#include "policy/introspection.hpp"

#include <string>
#include <string_view>

#include "app/introspection_material.hpp"
#include "app/jwt.hpp"
#include "base/assert.hpp"
#include "jwks.hpp"

using namespace tokenring;

namespace {

constexpr std::string_view kIssuer = "https://idp.example";

void check(const Result<std::string, std::string>& answer) {
  if (!answer) {
    TR_ASSERT(!answer.error().empty() && answer.error().find('\n') == std::string::npos);
    return;
  }
  // Is one line, and an answer like any other.
  TR_ASSERT(!answer->empty() && answer->find('\n') == std::string::npos);
  static_cast<void>(read_verdict(*answer));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  static const JwkSet keys = *JwkSet::parse(fuzz::kJwks);
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'j': {
      const auto payload = keys.verify(text, "token-introspection+jwt");
      if (payload) check(answer_in_claims(*payload, kIssuer, "proxy"));
      if (!payload) TR_ASSERT(!payload.error().why.empty());
      break;
    }
    case 'c':
      check(answer_in_claims(text, kIssuer, "proxy"));
      break;
    default: {
      const Verdict verdict = read_verdict(text);
      TR_ASSERT(verdict == Verdict::kMalformed ||
                text.find("\"active\"") != std::string_view::npos ||
                text.find('\\') != std::string_view::npos);
      TR_ASSERT(read_verdict(text) == verdict);
    }
  }
  return 0;
}
