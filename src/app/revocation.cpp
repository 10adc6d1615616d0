#include "app/revocation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "app/config.hpp"
#include "tokenring/request.hpp"

namespace tokenring {

namespace {

using nlohmann::json;

constexpr std::size_t kGroupsMax = 100;  // Of one request.
constexpr std::int64_t kClockSkewS = 300;
constexpr std::int64_t kOldestS = 3600;  // A token is not kept for later.

// Events after which nothing that was issued before may be used.
constexpr std::array<std::string_view, 7> kEvents{
    "http://schemas.openid.net/event/backchannel-logout",
    "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
    "https://schemas.openid.net/secevent/caep/event-type/credential-change",
    "https://schemas.openid.net/secevent/risc/event-type/sessions-revoked",
    "https://schemas.openid.net/secevent/risc/event-type/account-disabled",
    "https://schemas.openid.net/secevent/risc/event-type/account-purged",
    "https://schemas.openid.net/secevent/risc/event-type/credential-compromise",
};

constexpr std::string_view kInvalid = "invalid_request";
constexpr std::string_view kGroupForm = R"({"namespace": "PREFIX", "group": "NAME"}, both strings)";

auto refusal(std::string_view code, std::string why) {
  return unexpected(Refusal{code, std::move(why)});
}

std::string_view code_of(JwtFault fault) {
  switch (fault) {
    case JwtFault::kForm:
      break;
    case JwtFault::kKey:
      return "invalid_key";
    case JwtFault::kSignature:
      return "authentication_failed";
  }
  return kInvalid;
}

// A prefix names its namespace and those that owners have of it; with an owner's mark, that one.
bool is_named(const Namespace& space, std::string_view prefix) {
  const std::string_view own = space.prefix;
  return own == prefix || own.substr(space.mark_bytes) == prefix;
}

// The group's own key; empty where the name cannot be one, so that there is no such group.
std::string key_of_group(const Namespace& space, std::string_view name, const Snapshot& snapshot) {
  const std::string_view ends = snapshot.pools[space.pool].group_ends();
  const auto does_not_fit = [&](char c) {
    return (c >= '\0' && c <= ' ') || c == '\x7F' || ends.find(c) != std::string_view::npos;
  };
  if (name.empty() || std::any_of(name.begin(), name.end(), does_not_fit)) return {};
  std::string key = fmt::format("{}{}{}{}", space.prefix, ends[0], name, ends[1]);
  const std::size_t bytes_max = space.seal.blind_keys ? kLongKeyBytesMax : kKeyBytesMax;
  const bool is_its = key.size() <= bytes_max && snapshot.namespaces.find(key) == &space;
  return is_its ? key : std::string();
}

enum class Added : std::uint8_t { kSome, kNoSpace, kNoGroup };

Added add_keys(std::string_view prefix, std::string_view name, const Snapshot& snapshot,
               std::vector<std::string>& keys) {
  Added added = Added::kNoSpace;
  for (const Namespace& space : snapshot.namespaces.all()) {
    if (!space.tokens.revokes() || !is_named(space, prefix)) continue;
    std::string key = key_of_group(space, name, snapshot);
    if (added == Added::kNoSpace) added = Added::kNoGroup;
    if (key.empty()) continue;
    added = Added::kSome;
    keys.push_back(std::move(key));
  }
  return added;
}

bool is_group(const json& entry) {
  return entry.is_object() && entry.contains("namespace") && entry.contains("group") &&
         entry["namespace"].is_string() && entry["group"].is_string();
}

// REQUIRES: is_group(entry).
std::string add_group(const json& entry, const Snapshot& snapshot, std::vector<std::string>& keys) {
  switch (add_keys(entry["namespace"].get_ref<const std::string&>(),
                   entry["group"].get_ref<const std::string&>(), snapshot, keys)) {
    case Added::kNoSpace:
      return "there is no such namespace that is revocable";
    case Added::kNoGroup:
      return "the group's name cannot stand in a key";
    case Added::kSome:
      break;
  }
  return {};
}

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// Whom a token is about: by its own claim, or as a subject identifier (RFC 9493), its own or its
// event's. One that says whose subject it is says of another issuer's nothing of ours.
std::string subject_of(const json& token, const json& event, const std::string& claim) {
  if (std::string text = text_of(token, claim.c_str()); !text.empty()) return text;
  if (claim != "sub") return {};
  for (const json* holder : {&token, &event})
    for (const char* const name : {"sub_id", "subject"})
      if (const auto id = holder->find(name); id != holder->end() && id->is_object())
        if (!id->contains("iss") || (*id)["iss"] == token["iss"])
          if (std::string text = text_of(*id, "sub"); !text.empty()) return text;
  return {};
}

bool names(const json& token, const char* name, const std::string& wanted) {
  const auto found = token.find(name);
  if (found == token.end()) return false;
  if (found->is_array()) return std::find(found->begin(), found->end(), wanted) != found->end();
  return *found == wanted;
}

// What is wrong with what a token claims; no code: nothing.
Refusal check_claims(const json& token, const RevocationConfig& config, UnixTime now) {
  if (!token.is_object()) return {kInvalid, "its claims are no object"};
  if (text_of(token, "iss") != config.issuer) return {"invalid_issuer", "is of another issuer"};
  if (!names(token, "aud", config.audience)) return {"invalid_audience", "is for another audience"};
  const auto number = [&](const char* name) -> std::optional<double> {
    const auto found = token.find(name);
    if (found == token.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
  };
  const auto at = static_cast<double>(now.seconds);
  const std::optional<double> iat = number("iat");
  if (!iat || *iat > at + kClockSkewS || *iat < at - kOldestS)
    return {kInvalid, "is not of this hour"};
  if (const auto exp = number("exp"); exp && *exp < at - kClockSkewS) return {kInvalid, "is over"};
  if (token.contains("nonce")) return {kInvalid, "has a nonce, which a token of another kind has"};
  if (!token.contains("events") || !token["events"].is_object()) return {kInvalid, "has no events"};
  return {};
}

}  // namespace

Result<std::shared_ptr<const SignedRevocation>, std::string> read_signed_revocation(
    const RevocationConfig& config) {
  if (config.issuer.empty()) return std::shared_ptr<const SignedRevocation>();
  const auto fail = [&](const std::string& message) {
    return unexpected(fmt::format("{}: {}", config.jwks_at, message));
  };
  const auto text = file_text(config.jwks_file);
  if (!text) return fail(text.error());
  auto keys = JwkSet::parse(*text);
  if (!keys) return fail(fmt::format("{}: {}", config.jwks_file, keys.error()));
  return std::shared_ptr<const SignedRevocation>(
      new SignedRevocation{.config = config, .keys = *std::move(keys)});
}

std::string form_value(std::string_view form, std::string_view name) {
  while (!form.empty()) {
    const std::string_view part = form.substr(0, form.find('&'));
    form.remove_prefix(std::min(form.size(), part.size() + 1));
    if (!part.starts_with(name) || part.substr(name.size()).substr(0, 1) != "=") continue;
    std::string value;
    for (std::string_view rest = part.substr(name.size() + 1); !rest.empty();) {
      unsigned code = 0;
      const bool is_coded =
          rest.size() > 2 && rest[0] == '%' &&
          std::from_chars(rest.data() + 1, rest.data() + 3, code, 16).ptr == rest.data() + 3;
      value += is_coded ? static_cast<char>(code) : rest[0] == '+' ? ' ' : rest[0];
      rest.remove_prefix(is_coded ? 3 : 1);
    }
    return value;
  }
  return {};
}

std::string error_json(std::string_view code, std::string_view why) {
  const json object{
      {"err", code}, {"description", why}, {"error", code}, {"error_description", why}};
  return object.dump(-1, ' ', true, json::error_handler_t::replace) + "\n";
}

std::vector<std::string> keys_of_group(std::string_view key, const Snapshot& snapshot) {
  std::vector<std::string> keys;
  for (const Namespace& space : snapshot.namespaces.all()) {
    if (!space.tokens.revokes()) continue;
    std::string_view prefix = space.prefix;
    if (!key.starts_with(prefix)) prefix.remove_prefix(space.mark_bytes);
    if (!key.starts_with(prefix)) continue;
    const std::string_view ends = snapshot.pools[space.pool].group_ends();
    const std::string_view behind = key.substr(prefix.size());
    if (behind.size() < 3 || behind.front() != ends[0] || behind.back() != ends[1]) continue;
    std::string own = key_of_group(space, behind.substr(1, behind.size() - 2), snapshot);
    if (!own.empty()) keys.push_back(std::move(own));
  }
  return keys;
}

std::string requests_for(const std::vector<std::string>& keys) {
  std::string requests;
  for (const std::string& key : keys) requests += "delete " + key + "\r\n";
  return requests;
}

std::string trouble_in(std::string_view answers) {
  while (!answers.empty()) {
    const std::string_view line = answers.substr(0, answers.find("\r\n"));
    if (line != "DELETED") return std::string(line);
    answers.remove_prefix(std::min(answers.size(), line.size() + 2));
  }
  return {};
}

GroupKeys groups_of_json(std::string_view body, const Snapshot& snapshot) {
  const json asked = json::parse(body, nullptr, false);
  std::vector<std::string> keys;
  if (asked.is_object() && asked.contains("groups")) {
    const json& groups = asked["groups"];
    if (!groups.is_array() || !std::all_of(groups.begin(), groups.end(), is_group))
      return refusal(
          kInvalid, fmt::format("give \"groups\" a list, of which each element is {}", kGroupForm));
    if (groups.size() > kGroupsMax)
      return refusal(kInvalid, fmt::format("give at most {} groups", kGroupsMax));
    for (const json& entry : groups)
      if (std::string error = add_group(entry, snapshot, keys); !error.empty())
        return refusal(kInvalid, std::move(error));
  } else if (!is_group(asked)) {
    return refusal(kInvalid, fmt::format("give {}", kGroupForm));
  } else if (std::string error = add_group(asked, snapshot, keys); !error.empty()) {
    return refusal(kInvalid, std::move(error));
  }
  if (keys.empty()) return refusal(kInvalid, "give at least one group");
  return keys;
}

GroupKeys groups_of_token(std::string_view token, const SignedRevocation& by,
                          const Snapshot& snapshot, UnixTime now) {
  const auto payload = by.keys.verify(token);
  if (!payload) return refusal(code_of(payload.error().fault), payload.error().why);
  return groups_of_claims(*payload, by.config, snapshot, now);
}

GroupKeys groups_of_claims(std::string_view payload, const RevocationConfig& config,
                           const Snapshot& snapshot, UnixTime now) {
  const json claims = json::parse(payload, nullptr, false);
  if (Refusal wrong = check_claims(claims, config, now); !wrong.code.empty())
    return unexpected(std::move(wrong));
  std::vector<std::string> keys;
  for (const auto& [name, event] : claims["events"].items()) {
    if (std::find(kEvents.begin(), kEvents.end(), name) == kEvents.end()) continue;
    const std::string group = subject_of(claims, event, config.claim);
    if (group.empty()) return refusal(kInvalid, fmt::format("does not say {}", config.claim));
    for (const std::string& prefix : config.namespaces)
      if (add_keys(prefix, group, snapshot, keys) == Added::kNoGroup)
        return refusal(kInvalid, "names somebody whose name cannot stand in a key");
  }
  if (keys.empty()) return refusal(kInvalid, "has no event that revokes anything here");
  return keys;
}

}  // namespace tokenring
