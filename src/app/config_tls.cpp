// [tls.NAME]: its keys, and what must hold between them and those who use it.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "app/address.hpp"
#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kTlsMax = 64;
constexpr std::string_view kPemForm = "the path of a file in PEM";

void read_file_name(const Value& value, Position& at, TlsConfig::File& file) {
  at = value.position();
  const std::optional<std::string> path = value.text(kPemForm);
  if (!path) return;
  if (path->empty()) value.fail("names no file; give its path");
  file.path = *path;
}

void read_client_certificates(const Value& value, TlsDraft& draft) {
  constexpr std::array<std::string_view, 3> kWords{"none", "optional", "required"};
  constexpr std::array kMeanings{ClientCertificates::kNone, ClientCertificates::kOptional,
                                 ClientCertificates::kRequired};
  const auto named = [&](std::string_view word) -> std::optional<ClientCertificates> {
    for (std::size_t i = 0; i < kWords.size(); ++i)
      if (word == kWords[i]) return kMeanings[i];
    return std::nullopt;
  };
  draft.client_certificates_at = value.position();
  take_word(value, kWords, named, draft.tls.client_certificates);
}

// One of two words; whether it is the second.
void read_choice(const Value& value, std::array<std::string_view, 2> words, bool& is_second) {
  const auto named = [&](std::string_view word) -> std::optional<bool> {
    if (word == words[0]) return false;
    if (word == words[1]) return true;
    return std::nullopt;
  };
  take_word(value, words, named, is_second);
}

void read_verify(const Value& value, TlsDraft& draft) {
  draft.verify_at = value.position();
  bool only_ca = false;
  read_choice(value, {"name", "ca"}, only_ca);
  draft.tls.verifies_name = !only_ca;
}

constexpr std::array kTlsRows{
    Row<TlsDraft>{"certificate",
                  [](const Value& value, TlsDraft& draft) {
                    read_file_name(value, draft.certificate_at, draft.tls.certificate);
                  }},
    Row<TlsDraft>{"key",
                  [](const Value& value, TlsDraft& draft) {
                    read_file_name(value, draft.key_at, draft.tls.key);
                  }},
    Row<TlsDraft>{"client_ca",
                  [](const Value& value, TlsDraft& draft) {
                    read_file_name(value, draft.client_ca_at, draft.tls.client_ca);
                  }},
    Row<TlsDraft>{"client_certificates", read_client_certificates},
    Row<TlsDraft>{"ca", [](const Value& value,
                           TlsDraft& draft) { read_file_name(value, draft.ca_at, draft.tls.ca); }},
    Row<TlsDraft>{"verify", read_verify},
    Row<TlsDraft>{"verify_name",
                  [](const Value& value, TlsDraft& draft) {
                    draft.verify_name_at = value.position();
                    take(value.text("a host name or an IP address"), draft.tls.verify_name);
                  }},
    Row<TlsDraft>{"min_version",
                  [](const Value& value, TlsDraft& draft) {
                    read_choice(value, {"1.2", "1.3"}, draft.tls.only_1_3);
                  }},
    Row<TlsDraft>{
        "ktls", [](const Value& value, TlsDraft& draft) { take(value.boolean(), draft.tls.ktls); }},
};

void check_table(const TlsDraft& draft, Errors& errors) {
  const TlsConfig& tls = draft.tls;
  const auto add = [&](Position at, std::string_view key, std::string_view message) {
    errors.add(at, fmt::format("{}.{}", draft.key, key), message);
  };
  const bool asks = tls.client_certificates != ClientCertificates::kNone;
  if (!tls.certificate.path.empty() && tls.key.path.empty())
    add(draft.certificate_at, "certificate", "is nothing without its key; give key = \"PATH\"");
  if (!tls.key.path.empty() && tls.certificate.path.empty())
    add(draft.key_at, "key", "is nothing without its certificate; give certificate = \"PATH\"");
  if (asks && tls.client_ca.path.empty())
    add(draft.client_certificates_at, "client_certificates",
        "cannot be checked without client_ca; give client_ca = \"PATH\"");
  if (!asks && !tls.client_ca.path.empty())
    add(draft.client_ca_at, "client_ca",
        "has no effect without client_certificates = \"optional\" or \"required\"");
  if (!tls.verifies_name && tls.ca.path.empty())
    add(draft.verify_at, "verify",
        "\"ca\" would take any certificate that the system trusts; give ca = \"PATH\"");
  if (!tls.verifies_name && !tls.verify_name.empty())
    add(draft.verify_name_at, "verify_name", "has no effect with verify = \"ca\"");
}

// A node behind a unix socket has no host that a certificate could name.
void check_pool(const PoolDraft& pool, const TlsConfig& tls, Errors& errors) {
  const bool has_name = !tls.verifies_name || !tls.verify_name.empty();
  for (std::size_t i = 0; i < pool.pool.nodes.size(); ++i)
    if (!has_name && pool.pool.nodes[i].address.starts_with("unix:"))
      errors.add(pool.node_at[i], fmt::format("{}.nodes[{}]", pool.key, i),
                 fmt::format("has no host name that its certificate could be for; give {}.{} "
                             "verify_name, or verify = \"ca\"",
                             "tls", tls.name));
}

}  // namespace

void read_tls(const Value& value, Draft& draft) {
  for (const Value::Member& member : value.members()) {
    TlsDraft tls;
    tls.tls.name = member.name;
    tls.key = member.value.key();
    check_table_name(member);
    read_table(member.value, kTlsRows, tls);
    draft.tls.push_back(std::move(tls));
    if (draft.tls.size() == kTlsMax + 1)
      value.errors().add(member.at, draft.tls.back().key,
                         fmt::format("is one too many; give at most {}", kTlsMax));
  }
}

void append_tls_keys(std::vector<std::string>& keys) {
  append_keys("tls.NAME.", kTlsRows, keys);
}

void check_tls(const Draft& draft, Errors& errors) {
  for (const TlsDraft& tls : draft.tls) check_table(tls, errors);
  const auto named = [&](std::string_view name) {
    return std::find_if(draft.tls.begin(), draft.tls.end(),
                        [&](const TlsDraft& tls) { return tls.tls.name == name; });
  };
  for (const TlsUse& use : draft.tls_uses) {
    const auto found = named(use.name);
    if (found == draft.tls.end())
      errors.add(use.at, use.key,
                 fmt::format("there is no [tls.{0}]; give it, with what it needs", use.name));
    else if (use.is_server && found->tls.certificate.path.empty())
      errors.add(use.at, use.key,
                 fmt::format("needs tls.{}.certificate and its key; give both", use.name));
  }
  for (const PoolDraft& pool : draft.pools)
    if (const auto found = named(pool.pool.tls); found != draft.tls.end())
      check_pool(pool, found->tls, errors);
}

}  // namespace tokenring
