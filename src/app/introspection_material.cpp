#include "app/introspection_material.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "app/jwt.hpp"
#include "app/private_file.hpp"
#include "app/read_file.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kSecretBytesMax = 4096;

// One line that nobody else may read.
Result<std::shared_ptr<const SecretBytes>, std::string> read_secret(const std::string& path) {
  auto read = read_private_file(path, kSecretBytesMax + 2);
  if (!read) return unexpected(read.error());
  std::string& text = *read;
  if (text.ends_with('\n')) text.pop_back();
  const bool is_line =
      !text.empty() && text.size() <= kSecretBytesMax &&
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  auto secret = std::make_shared<SecretBytes>(std::max<std::size_t>(1, text.size()));
  if (is_line) std::memcpy(secret->data(), text.data(), text.size());
  wipe(text);
  if (!is_line)
    return unexpected(fmt::format("{}: is no secret; give one line of 1 to {} characters of ASCII",
                                  path, kSecretBytesMax));
  return std::shared_ptr<const SecretBytes>(std::move(secret));
}

// RFC 9701: what a JWT says of the token, where its signature and kind are right too.
Result<std::string, std::string> introspection_in(std::string_view jwt, const JwkSet& keys,
                                                  std::string_view issuer,
                                                  std::string_view audience) {
  const auto payload = keys.verify(jwt, "token-introspection+jwt");
  if (!payload) return unexpected(payload.error().why);
  return answer_in_claims(*payload, issuer, audience);
}

Result<Introspection::OpenJwt, std::string> jwt_opener(const IntrospectionConfig& endpoint) {
  const auto text = file_text(endpoint.jwks_file);
  if (!text) return unexpected(text.error());
  auto set = JwkSet::parse(*text);
  if (!set) return unexpected(fmt::format("{}: {}", endpoint.jwks_file, set.error()));
  const auto keys = std::make_shared<const JwkSet>(*std::move(set));
  std::string audience = endpoint.audience.empty() ? endpoint.rules.client_id : endpoint.audience;
  return Introspection::OpenJwt(
      [keys, issuer = endpoint.issuer, audience = std::move(audience)](std::string_view jwt) {
        return introspection_in(jwt, *keys, issuer, audience);
      });
}

Result<std::string, std::string> read_pem(const std::string& path, std::string_view what) {
  auto text = tokenring::read_pem(path);
  if (text && text->find(fmt::format("-----BEGIN {}", what)) == std::string::npos)
    return unexpected(fmt::format("{}: has no PEM block of a {}", path, what));
  return text;
}

}  // namespace

Result<std::string, std::string> answer_in_claims(std::string_view payload, std::string_view issuer,
                                                  std::string_view audience) {
  const auto claims = nlohmann::json::parse(payload, nullptr, false);
  if (!claims.is_object()) return unexpected(std::string("holds no object"));
  const auto has = [&](const char* name, std::string_view wanted) {
    const auto found = claims.find(name);
    if (found == claims.end()) return false;
    if (!found->is_array()) return *found == wanted;
    return std::find(found->begin(), found->end(), wanted) != found->end();
  };
  if (!has("iss", issuer)) return unexpected(std::string("is of another issuer"));
  if (!has("aud", audience)) return unexpected(std::string("is for somebody else"));
  const auto answer = claims.find("token_introspection");
  if (answer == claims.end()) return unexpected(std::string("has no token_introspection"));
  return answer->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

Result<Introspections, std::string> read_introspections(const Config& config) {
  Introspections all;
  for (const IntrospectionConfig& endpoint : config.introspections) {
    const auto bad = [&](const std::string& at, const std::string& what) {
      return unexpected(fmt::format("{}: {}", at, what));
    };
    Introspection rules = endpoint.rules;
    const bool has_bearer = !endpoint.bearer_file.empty();
    auto secret = read_secret(has_bearer ? endpoint.bearer_file : endpoint.client_secret_file);
    if (!secret) return bad(endpoint.secret_at, secret.error());
    rules.secret = *std::move(secret);
    if (!endpoint.ca.empty()) {
      auto pem = read_pem(endpoint.ca, "CERTIFICATE");
      if (!pem) return bad(endpoint.ca_at, pem.error());
      rules.authorities = *std::move(pem);
    }
    if (!endpoint.jwks_file.empty()) {
      auto opener = jwt_opener(endpoint);
      if (!opener) return bad(endpoint.jwks_at, opener.error());
      rules.open_jwt = *std::move(opener);
    }
    all.push_back(std::make_shared<const Introspection>(std::move(rules)));
  }
  return all;
}

}  // namespace tokenring
