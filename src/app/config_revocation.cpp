// The table `revocation` of the file.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr std::array kRevocationRows{
    Row<Draft>{"issuer",
               [](const Value& value, Draft& draft) {
                 take(value.text("whose tokens revoke, as their iss has it"),
                      draft.config.revocation.issuer);
               }},
    Row<Draft>{"audience",
               [](const Value& value, Draft& draft) {
                 take(value.text("whom they are for, as their aud has it"),
                      draft.config.revocation.audience);
               }},
    Row<Draft>{"jwks_file",
               [](const Value& value, Draft& draft) {
                 draft.jwks_at = value.position();
                 take(value.text("the path of a file with the issuer's keys"),
                      draft.config.revocation.jwks_file);
               }},
    Row<Draft>{"claim",
               [](const Value& value, Draft& draft) {
                 const std::string word = value.text("\"sub\" or \"sid\"").value_or("sub");
                 if (word != "sub" && word != "sid")
                   value.fail(fmt::format("{} is unknown; give \"sub\" or \"sid\"", quoted(word)));
                 draft.config.revocation.claim = word;
               }},
    Row<Draft>{"namespaces",
               [](const Value& value, Draft& draft) {
                 draft.revocation_namespaces_at = value.position();
                 std::vector<std::string>& prefixes = draft.config.revocation.namespaces;
                 for (const Value& element : value.elements("at least one prefix of a namespace"))
                   prefixes.push_back(element.text("the prefix of a namespace").value_or(""));
               }},
};

// Whether it is a prefix as an owner has it, with the mark.
bool is_owners(const Draft& draft, const std::string& prefix, const std::string& own) {
  return std::any_of(draft.identities.begin(), draft.identities.end(), [&](const auto& entry) {
    return entry.identity.isolates && prefix == entry.identity.mark() + own;
  });
}

}  // namespace

void read_revocation(const Value& value, Draft& draft) {
  draft.revocation_at = value.position();
  read_table(value, kRevocationRows, draft);
}

void append_revocation_keys(std::vector<std::string>& keys) {
  append_keys("revocation.", kRevocationRows, keys);
}

void check_revocation(const Draft& draft, Errors& errors) {
  const RevocationConfig& config = draft.config.revocation;
  if (draft.revocation_at == Position{}) return;
  if (config.issuer.empty() || config.audience.empty() || config.jwks_file.empty() ||
      config.namespaces.empty())
    errors.add(draft.revocation_at, "revocation",
               "needs issuer, audience, jwks_file and namespaces");
  if (draft.config.admin.listen.empty())
    errors.add(draft.revocation_at, "revocation",
               "has no effect without a port to ask at; give [admin] listen");
  for (const std::string& prefix : config.namespaces) {
    const bool is_there = std::any_of(
        draft.namespaces.begin(), draft.namespaces.end(), [&](const NamespaceDraft& space) {
          return space.space.tokens.revokes() &&
                 (space.space.prefix == prefix || is_owners(draft, prefix, space.space.prefix));
        });
    if (!is_there)
      errors.add(draft.revocation_namespaces_at, "revocation.namespaces",
                 fmt::format("{} is the prefix of no namespace that is revocable; give one that is",
                             quoted(prefix)));
  }
}

}  // namespace tokenring
