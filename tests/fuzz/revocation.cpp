// What asks for a revocation, by its first byte: the JSON of /revoke, the form of /logout, a token,
// what one says, a file of keys, a group's key. Whatever it is, it is refused in one line, or it
// names groups of namespaces that are revocable, each by one key that can stand in a request.
#include "app/revocation.hpp"

#include <algorithm>
#include <string>

#include "base/assert.hpp"
#include "jwks.hpp"
#include "tokenring/request.hpp"

using namespace tokenring;

namespace {

constexpr UnixTime kNow{1'790'000'000};

Namespace space_of(std::string prefix, std::uint16_t owner, std::uint16_t mark_bytes, bool blinds) {
  Namespace space;
  space.prefix = std::move(prefix);
  space.seal.mode = SealMode::kRequire;
  space.seal.blind_keys = blinds;
  space.owner = owner;
  space.mark_bytes = mark_bytes;
  return space;
}

const Snapshot& snapshot() {
  static const Snapshot made = [] {
    Snapshot snapshot;
    const std::vector<NodeSpec> nodes{{.address = "127.0.0.1:1", .name = ""}};
    snapshot.pools.push_back({"p", nodes, Ring::make(nodes, {}).value(), {}, 0});
    std::vector<Namespace> spaces{space_of("s:", 0, 0, false), space_of("one/s:", 1, 4, true),
                                  space_of("one/", 1, 4, false), space_of("", 0, 0, false)};
    for (Namespace& space : spaces) space.tokens.revocation = Revocation::kGeneration;
    spaces.push_back(space_of("t:", 0, 0, false));  // This one is not.
    snapshot.namespaces = NamespaceTable(std::move(spaces));
    return snapshot;
  }();
  return made;
}

const SignedRevocation& issuer() {
  static const SignedRevocation made{.config = {.issuer = "https://idp.example",
                                                .audience = "shop",
                                                .jwks_file = {},
                                                .jwks_at = {},
                                                .namespaces = {"s:", "one/"}},
                                     .keys = *JwkSet::parse(fuzz::kJwks)};
  return made;
}

void check(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    const Namespace* const space = snapshot().namespaces.find(key);
    TR_ASSERT(space != nullptr && space->tokens.revokes());
    TR_ASSERT(key.size() <= (space->seal.blind_keys ? kLongKeyBytesMax : kKeyBytesMax));
    TR_ASSERT(std::none_of(key.begin(), key.end(),
                           [](char c) { return (c >= '\0' && c <= ' ') || c == '\x7F'; }));
    TR_ASSERT(std::count(key.begin(), key.end(), '{') == 1 && key.back() == '}');
  }
  const std::string requests = requests_for(keys);
  TR_ASSERT(static_cast<std::size_t>(std::count(requests.begin(), requests.end(), '\n')) ==
            keys.size());
}

void check(const GroupKeys& keys) {
  if (keys) {
    TR_ASSERT(!keys->empty());
    return check(*keys);
  }
  TR_ASSERT(!keys.error().code.empty() && !keys.error().why.empty());
  TR_ASSERT(keys.error().why.find('\n') == std::string::npos);
  const std::string told = error_json(keys.error().code, keys.error().why);
  TR_ASSERT(told.find('\n') == told.size() - 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'j':
      check(groups_of_json(text, snapshot()));
      break;
    case 'f': {
      const std::string value = form_value(text, "logout_token");
      TR_ASSERT(value.size() <= text.size());
      check(groups_of_token(value, issuer(), snapshot(), kNow));
      break;
    }
    case 't':
      check(groups_of_token(text, issuer(), snapshot(), kNow));
      break;
    case 'c':
      check(groups_of_claims(text, issuer().config, snapshot(), kNow));
      break;
    case 'k': {
      const auto keys = JwkSet::parse(text);
      TR_ASSERT(keys ? keys->size() > 0 && keys->size() <= JwkSet::kKeysMax
                     : !keys.error().empty() && keys.error().find('\n') == std::string::npos);
      break;
    }
    default:
      check(keys_of_group(text, snapshot()));
  }
  return 0;
}
