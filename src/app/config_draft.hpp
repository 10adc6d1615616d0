// A configuration while it is read: values with where they stand, for the checks that need several.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.hpp"
#include "app/toml_reader.hpp"

namespace tokenring {

// Positions are of values, and zeros where the file does not give one.
struct PoolDraft {
  PoolConfig pool;
  std::string key;  // For messages: pools.NAME.
  Position at;
  Position nodes_at;
  Position hash_at;
  Position seed_at;
  Position on_node_down_at;
  Position failover_nodes_at;
  Position failover_ttl_at;
  Position on_rejoin_at;
  Position gutter_at;
  Position tls_at;
  std::vector<Position> node_at;
};

struct IntrospectionDraft {
  IntrospectionConfig endpoint;
  std::string key;  // For messages: introspection.NAME.
  Position at;
  Position url_at;
  Position client_id_at;
  Position secret_at;
  Position bearer_at;
  Position ca_at;
  Position jwks_at;
  Position issuer_at;
  Position audience_at;
};

struct NamespaceDraft {
  NamespaceConfig space;
  std::string key;  // For messages: namespaces[N].
  Position at;
  Position prefix_at;
  Position pool_at;
  Position ttl_default_at;
  Position max_age_at;
  Position seal_at;
  Position seal_until_at;
  Position blind_keys_at;
  Position compress_at;
  Position dictionary_at;
  Position coalesce_at;
  Position near_at;
  Position near_ttl_at;
  Position negative_ttl_at;
  Position ttl_from_token_at;
  Position skew_at;
  Position fill_at;
  Position revocable_at;
  Position one_time_at;
  Position replay_guard_at;
  Position fill_guard_at;
  Position herd_wait_at;
  Position identity_at;
};

struct IdentityDraft {
  IdentityConfig identity;
  std::string key;  // For messages: identities[N].
  Position at;
  Position name_at;
  Position user_at;
  Position allow_at;
  Position isolate_at;
  Position negative_at;
  bool says_who = false;  // One of user, certificate, uid and networks stands there.
  std::vector<Position> allow_row_at;
};

struct TlsDraft {
  TlsConfig tls;
  std::string key;  // For messages: tls.NAME.
  Position certificate_at;
  Position key_at;
  Position client_ca_at;
  Position client_certificates_at;
  Position ca_at;
  Position verify_at;
  Position verify_name_at;
};

// Where a table of `tls` is named, and on which side.
struct TlsUse {
  std::string key;
  Position at;
  std::string name;
  bool is_server = true;
};

struct Draft {
  Config config;  // Without pools and namespaces.
  Position value_bytes_max_at;
  Position memory_at;
  Position keys_at;
  std::string_view keys_key = "keys";  // The one of its keys that stands there.
  Position flush_all_at;
  Position identify_at;  // The first that is true, and its key.
  std::string identify_key;
  Position admin_listen_at;
  Position token_file_at;
  Position admin_mode_at;
  Position audit_file_at;
  Position revocation_at;
  Position revocation_namespaces_at;
  Position jwks_at;
  std::vector<PoolDraft> pools;
  std::vector<IntrospectionDraft> introspections;
  std::vector<NamespaceDraft> namespaces;
  std::vector<TlsDraft> tls;
  std::vector<TlsUse> tls_uses;
  Position auth_file_at;
  std::vector<IdentityDraft> identities;
};

inline constexpr std::string_view kListenForm = "an address such as \"127.0.0.1:11211\"";
inline constexpr std::string_view kModeIsForUnix = "is for unix:/PATH only; leave it out";
// Octal digits, as chmod has them.
[[nodiscard]] std::optional<std::uint32_t> read_mode(const Value& value);

// Fills in what the document says, each value sound in itself.
void read_draft(const toml::table& document, Draft& draft, Errors& errors);
// Its parts, by what stands first in them, and the keys each knows below itself.
void read_auth(const Value& value, Draft& draft);
void read_identities(const Value& value, Draft& draft);
void append_identity_keys(std::vector<std::string>& keys);
void read_listen(const Value& value, Draft& draft);
void read_admin(const Value& value, Draft& draft);
void read_audit(const Value& value, Draft& draft);
void read_revocation(const Value& value, Draft& draft);
void read_pools(const Value& value, Draft& draft);
void read_namespaces(const Value& value, Draft& draft);
void read_tls(const Value& value, Draft& draft);
void append_listen_keys(std::vector<std::string>& keys);
void read_introspection(const Value& value, Draft& draft);
void append_introspection_keys(std::vector<std::string>& keys);
void append_admin_keys(std::vector<std::string>& keys);
void append_revocation_keys(std::vector<std::string>& keys);
void append_audit_keys(std::vector<std::string>& keys);
void append_pool_keys(std::vector<std::string>& keys);
void append_namespace_keys(std::vector<std::string>& keys);
void append_tls_keys(std::vector<std::string>& keys);

// What must hold between values. Names the only pool in namespaces that name none.
void check_draft(Draft& draft, Errors& errors);
void check_introspection(Draft& draft, Errors& errors);
void check_admin(const Draft& draft, Errors& errors);
void check_revocation(const Draft& draft, Errors& errors);
void check_tls(const Draft& draft, Errors& errors);
void check_identities(const Draft& draft, Errors& errors);

}  // namespace tokenring
