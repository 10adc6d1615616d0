// Revocation: what asks over HTTP for groups to be revoked, as the keys to delete.
//
// POST /revoke takes JSON. POST /logout takes a token that an identity provider signed: a logout
// token (OpenID Connect Back-Channel Logout 1.0) or a security event token (RFC 8417, pushed as by
// RFC 8935).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/jwt.hpp"
#include "policy/snapshot.hpp"
#include "tokenring/result.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

// [revocation]: whose signed tokens revoke what.
struct RevocationConfig {
  std::string issuer;  // Empty: nobody's.
  std::string audience;
  std::string jwks_file;
  std::string jwks_at;        // FILE:LINE:COLUMN: KEY, for what only shows when it is read.
  std::string claim = "sub";  // Which names the group: sub or sid.
  std::vector<std::string> namespaces;  // By prefix.
};

struct SignedRevocation {
  RevocationConfig config;
  JwkSet keys;
};

// Why groups are not revoked.
struct Refusal {
  std::string_view code;  // As RFC 8935, 2.4, has it.
  std::string why;        // Nothing of what was sent.
};
using GroupKeys = Result<std::vector<std::string>, Refusal>;

// Reads the keys; null where nobody is named. The error is one line.
[[nodiscard]] Result<std::shared_ptr<const SignedRevocation>, std::string> read_signed_revocation(
    const RevocationConfig& config);

// A value of an HTML form, decoded; empty: there is none.
[[nodiscard]] std::string form_value(std::string_view form, std::string_view name);
// {"err": CODE, "description": WHY} of RFC 8935, and the names that OpenID Connect has for them.
[[nodiscard]] std::string error_json(std::string_view code, std::string_view why);

// Each function gives whole keys, owners' with their marks. A prefix without a mark names a
// namespace and all that owners have of it; with one, just that owner's.
//
// The keys to delete for a group's own key; none: it is not one.
[[nodiscard]] std::vector<std::string> keys_of_group(std::string_view key,
                                                     const Snapshot& snapshot);
// What to send for that, and what is wrong with the answers; empty: all is done.
[[nodiscard]] std::string requests_for(const std::vector<std::string>& keys);
[[nodiscard]] std::string trouble_in(std::string_view answers);

// {"namespace": PREFIX, "group": NAME}, or several: {"groups": [...]}. The keys of groups to
// delete.
[[nodiscard]] GroupKeys groups_of_json(std::string_view body, const Snapshot& snapshot);
// A signed token, and what one says.
[[nodiscard]] GroupKeys groups_of_token(std::string_view token, const SignedRevocation& by,
                                        const Snapshot& snapshot, UnixTime now);
[[nodiscard]] GroupKeys groups_of_claims(std::string_view payload, const RevocationConfig& config,
                                         const Snapshot& snapshot, UnixTime now);

}  // namespace tokenring
