// [auth] and [[identities]]: their keys, and what must hold between them and the rest.

#include <fmt/format.h>

#include <map>

#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr Range kPerSecond{0, std::int64_t{1} << 40};
constexpr Range kConnections{0, 16 << 20};
constexpr Range kBurstMs{0, 3600'000};
constexpr Range kUids{0, UINT32_MAX - 1};
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kIdentitiesMax = 1024;

constexpr std::array kRightNames{
#define X(enumerator, name, bit) std::string_view(name),
    TOKENRING_RIGHTS(X)
#undef X
};
constexpr std::array kRights{
#define X(enumerator, name, bit) Rights::enumerator,
    TOKENRING_RIGHTS(X)
#undef X
};

// It is part of nodes' keys, of logs and of labels.
void read_name(const Value& value, IdentityDraft& draft) {
  draft.name_at = value.position();
  const std::optional<std::string> name = value.text();
  if (!name) return;
  const bool is_sound = std::all_of(name->begin(), name->end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  });
  if (name->empty() || name->size() > kNameBytesMax || !is_sound)
    value.fail(fmt::format("{} is no name; give one of 1 to {} letters, digits, -, _ and .",
                           quoted(*name), kNameBytesMax));
  draft.identity.name = *name;
}

void read_words(const Value& value, std::string_view form, std::vector<std::string>& words) {
  for (const Value& element : value.elements(form)) {
    const std::optional<std::string> word = element.text(form);
    if (word && word->empty()) element.fail(fmt::format("is empty; give {}", form));
    if (word) words.push_back(*word);
  }
}

void read_certificates(const Value& value, IdentityDraft& draft) {
  draft.says_who = true;
  constexpr std::string_view kForm = "a name such as \"DNS:checkout.internal\"";
  for (const Value& element : value.elements(kForm)) {
    const std::optional<std::string> name = element.text(kForm);
    if (!name) continue;
    const std::size_t at = name->find_first_of(":=");
    const std::string kind = name->substr(0, at == std::string::npos ? at : at + 1);
    if ((kind != "CN=" && kind != "DNS:" && kind != "URI:") || name->size() == kind.size())
      element.fail(fmt::format("{} is no name of a certificate; give CN=NAME, DNS:NAME or URI:ID",
                               quoted(*name)));
    draft.identity.recognition.certificates.push_back(*name);
  }
}

void read_uids(const Value& value, IdentityDraft& draft) {
  draft.says_who = true;
  for (const Value& element : value.elements("the number of a user"))
    if (const auto uid = element.integer(kUids))
      draft.identity.recognition.uids.push_back(static_cast<std::uint32_t>(*uid));
}

void read_networks(const Value& value, IdentityDraft& draft) {
  draft.says_who = true;
  constexpr std::string_view kForm = "a network such as \"10.1.0.0/16\"";
  for (const Value& element : value.elements(kForm)) {
    const std::optional<std::string> text = element.text(kForm);
    if (!text) continue;
    const auto network = parse_network(*text);
    if (network)
      draft.identity.recognition.networks.push_back(*network);
    else
      element.fail(network.error());
  }
}

struct AllowDraft {
  AllowConfig allow;
  Position rights_at;
};

void read_rights(const Value& value, AllowDraft& draft) {
  draft.rights_at = value.position();
  const std::string form = fmt::format("some of \"{}\"", fmt::join(kRightNames, "\", \""));
  for (const Value& element : value.elements(form)) {
    Rights right;
    const auto named = [](std::string_view name) -> std::optional<Rights> {
      for (std::size_t i = 0; i < kRights.size(); ++i)
        if (kRightNames[i] == name) return kRights[i];
      return std::nullopt;
    };
    take_word(element, kRightNames, named, right);
    draft.allow.rights = draft.allow.rights | right;
  }
}

constexpr std::array kAllowRows{
    Row<AllowDraft>{"namespaces",
                    [](const Value& value, AllowDraft& draft) {
                      draft.allow.namespaces.emplace();
                      for (const Value& element : value.elements("the prefix of a namespace"))
                        take(element.text(), draft.allow.namespaces->emplace_back());
                    }},
    Row<AllowDraft>{"rights", read_rights},
};

void read_allow(const Value& value, IdentityDraft& draft) {
  draft.allow_at = value.position();
  for (const Value& element : value.elements("a table with namespaces and rights")) {
    if (!element.is_table()) {
      element.fail("is no table; give { namespaces = [\"PREFIX\"], rights = [\"read\"] }");
      continue;
    }
    AllowDraft row;
    read_table(element, kAllowRows, row);
    if (row.rights_at == Position{})
      element.fail(fmt::format("has no rights; give rights = [\"{}\"], or some of them",
                               fmt::join(kRightNames, "\", \"")));
    if (row.allow.namespaces && row.allow.rights.has(Rights::kFlush))
      element.errors().add(row.rights_at, element.key() + ".rights",
                           "\"flush\" empties all nodes, whatever the namespace; give it in a row "
                           "without namespaces");
    draft.identity.allow.push_back(std::move(row.allow));
    draft.allow_row_at.push_back(element.position());
  }
}

constexpr std::array kIdentityRows{
    Row<IdentityDraft>{"name", read_name},
    Row<IdentityDraft>{"user",
                       [](const Value& value, IdentityDraft& draft) {
                         draft.user_at = value.position();
                         draft.says_who = true;
                         read_words(value, "the name of a user", draft.identity.recognition.users);
                       }},
    Row<IdentityDraft>{"certificate", read_certificates},
    Row<IdentityDraft>{"uid", read_uids},
    Row<IdentityDraft>{"networks", read_networks},
    Row<IdentityDraft>{"allow", read_allow},
    Row<IdentityDraft>{"hide",
                       [](const Value& value, IdentityDraft& draft) {
                         take(value.boolean(), draft.identity.hides);
                       }},
    Row<IdentityDraft>{"isolate",
                       [](const Value& value, IdentityDraft& draft) {
                         draft.isolate_at = value.position();
                         take(value.boolean(), draft.identity.isolates);
                       }},
    Row<IdentityDraft>{"requests_per_second",
                       [](const Value& value, IdentityDraft& draft) {
                         take(value.integer(kPerSecond), draft.identity.quota.requests_per_second);
                       }},
    Row<IdentityDraft>{"bytes_per_second",
                       [](const Value& value, IdentityDraft& draft) {
                         take(value.bytes(kPerSecond), draft.identity.quota.bytes_per_second);
                       }},
    Row<IdentityDraft>{"negative_per_second",
                       [](const Value& value, IdentityDraft& draft) {
                         draft.negative_at = value.position();
                         take(value.integer(kPerSecond), draft.identity.quota.negative_per_second);
                       }},
    Row<IdentityDraft>{"burst",
                       [](const Value& value, IdentityDraft& draft) {
                         take(value.duration(TimeUnit::kMillisecond, kBurstMs),
                              draft.identity.quota.burst_ms);
                       }},
    Row<IdentityDraft>{"connections",
                       [](const Value& value, IdentityDraft& draft) {
                         take(value.integer(kConnections), draft.identity.quota.connections);
                       }},
};

constexpr std::array kAuthRows{
    Row<Draft>{"file",
               [](const Value& value, Draft& draft) {
                 draft.auth_file_at = value.position();
                 take(value.text("the path of a file of users"), draft.config.auth_file);
               }},
};

// What two identities have alike would be one's or the other's by chance.
void check_shared(const IdentityDraft& draft, std::map<std::string, std::string>& seen,
                  Errors& errors) {
  const auto add = [&](std::string_view what, const std::string& value) {
    const auto [other, fresh] =
        seen.emplace(fmt::format("{} {}", what, value), draft.identity.name);
    if (!fresh && other->second != draft.identity.name)
      errors.add(draft.at, draft.key,
                 fmt::format("has the {} {} of {}; give it to one of them", what, quoted(value),
                             quoted(other->second)));
  };
  const Recognition& by = draft.identity.recognition;
  for (const std::string& user : by.users) add("user", user);
  for (const std::string& name : by.certificates) add("certificate", name);
  for (const std::uint32_t uid : by.uids) add("uid", fmt::to_string(uid));
  if (by.needs_proof()) return;
  for (const Network& network : by.networks)
    add("network", fmt::format("{:02x}/{}", fmt::join(network.address, ""), network.bits));
}

void check_allow(const IdentityDraft& draft, const Draft& all, Errors& errors) {
  const IdentityConfig& identity = draft.identity;
  for (std::size_t i = 0; i < identity.allow.size(); ++i) {
    const AllowConfig& row = identity.allow[i];
    const std::string key = fmt::format("{}.allow[{}]", draft.key, i);
    if (identity.isolates && row.rights.has(Rights::kFlush))
      errors.add(draft.allow_row_at[i], key,
                 "\"flush\" would reach the keys of others; leave it out, or isolate");
    for (const std::string& prefix : row.namespaces.value_or(std::vector<std::string>())) {
      const bool is_there = std::any_of(
          all.namespaces.begin(), all.namespaces.end(), [&](const NamespaceDraft& space) {
            return space.space.prefix == prefix &&
                   (space.space.identity.empty() || space.space.identity == identity.name);
          });
      if (!is_there && !prefix.empty())
        errors.add(
            draft.allow_row_at[i], key,
            fmt::format("{} is the prefix of no namespace; give one that is", quoted(prefix)));
    }
  }
}

void check_identity(const IdentityDraft& draft, const Draft& all, Errors& errors) {
  const Recognition& by = draft.identity.recognition;
  if (draft.name_at == Position{})
    return errors.add(draft.at, draft.key, "has no name; give one, such as that of a service");
  // What it lacks may be misspelled.
  if (!by.users.empty() && all.config.auth_file.empty() && !errors.any())
    errors.add(draft.user_at == Position{} ? draft.at : draft.user_at, draft.key,
               "is recognised by a login, which needs a file of users; give [auth] file = "
               "\"PATH\", or certificate, uid or networks");
  check_allow(draft, all, errors);
  const bool reads_tokens =
      std::any_of(all.namespaces.begin(), all.namespaces.end(), [](const NamespaceDraft& space) {
        return space.space.life.token_life != TokenLife::kIgnore || !space.space.fill.empty();
      });
  if (draft.identity.quota.negative_per_second > 0 && !reads_tokens)
    errors.add(draft.negative_at, draft.key + ".negative_per_second",
               "has no effect without ttl_from_token or fill in a namespace");
  for (const NamespaceDraft& space : all.namespaces)
    if (draft.identity.isolates && space.space.prefix.starts_with(draft.identity.mark()))
      errors.add(draft.isolate_at, draft.key + ".isolate",
                 fmt::format("keys of this identity begin with {} at nodes, and so do those of {}; "
                             "rename one",
                             quoted(draft.identity.mark()), space.key));
}

void check_owners(const Draft& draft, Errors& errors) {
  std::size_t owners = 0;
  for (const IdentityDraft& identity : draft.identities) owners += identity.identity.isolates;
  for (const NamespaceDraft& space : draft.namespaces) {
    const std::string& name = space.space.identity;
    const bool is_owner =
        std::any_of(draft.identities.begin(), draft.identities.end(), [&](const auto& identity) {
          return identity.identity.isolates && identity.identity.name == name;
        });
    if (!name.empty() && !is_owner)
      errors.add(space.identity_at, space.key + ".identity",
                 fmt::format("{} is no identity with isolate = true; give one", quoted(name)));
  }
  const std::size_t spaces = (draft.namespaces.size() + 1) * (owners + 1);
  if (spaces > NamespaceTable::kNamespacesMax)
    errors.add(draft.identities.front().at, "identities",
               fmt::format("{} with isolate and {} namespaces make {}; {} is the most", owners,
                           draft.namespaces.size(), spaces, NamespaceTable::kNamespacesMax));
}

}  // namespace

void read_auth(const Value& value, Draft& draft) {
  read_table(value, kAuthRows, draft);
}

void read_identities(const Value& value, Draft& draft) {
  if (value.is_table()) {
    value.fail("is a table; give a list of them, each under [[identities]]");
    return;
  }
  for (const Value& element : value.elements("at least one table, or leave it out")) {
    IdentityDraft draft_of;
    draft_of.key = element.key();
    draft_of.at = element.position();
    read_table(element, kIdentityRows, draft_of);
    Recognition& by = draft_of.identity.recognition;
    if (!draft_of.says_who) by.users.push_back(draft_of.identity.name);
    if (draft.identities.size() == kIdentitiesMax)
      element.fail(fmt::format("is one too many; give at most {} identities", kIdentitiesMax));
    else
      draft.identities.push_back(std::move(draft_of));
  }
}

void append_identity_keys(std::vector<std::string>& keys) {
  append_keys("auth.", kAuthRows, keys);
  append_keys("identities[].", kIdentityRows, keys);
  append_keys("identities[].allow[].", kAllowRows, keys);
}

void check_identities(const Draft& draft, Errors& errors) {
  const auto& listen = draft.config.listen_options;
  const bool asks = std::any_of(listen.begin(), listen.end(),
                                [](const auto& entry) { return entry.second.identify; });
  constexpr std::string_view kNobodyAsks =
      "has no effect where nobody is asked; give identify = true to an address of listen";
  if (!asks && !draft.config.auth_file.empty())
    errors.add(draft.auth_file_at, "auth.file", kNobodyAsks);
  if (!asks && !draft.identities.empty())
    errors.add(draft.identities.front().at, draft.identities.front().key, kNobodyAsks);
  if (asks && draft.identities.empty() && !errors.any())
    errors.add(draft.identify_at, draft.identify_key,
               "would let nobody do anything, for there is no identity; give [[identities]]");
  std::map<std::string_view, std::string_view> names;
  std::map<std::string, std::string> seen;
  for (const IdentityDraft& identity : draft.identities) {
    const auto [other, fresh] = names.emplace(identity.identity.name, identity.key);
    if (!fresh)
      errors.add(identity.name_at, identity.key + ".name",
                 fmt::format("{} is the name of {}; give each its own",
                             quoted(identity.identity.name), other->second));
    check_identity(identity, draft, errors);
    check_shared(identity, seen, errors);
  }
  if (!draft.identities.empty() ||
      std::any_of(draft.namespaces.begin(), draft.namespaces.end(),
                  [](const NamespaceDraft& space) { return !space.space.identity.empty(); }))
    check_owners(draft, errors);
}

}  // namespace tokenring
