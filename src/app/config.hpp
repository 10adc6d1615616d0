// Config: the configuration file as a plain value, checked, and the Snapshot that workers get of
// it.
//
// conf/tokenring.toml describes every key. Errors are one line for the operator,
// FILE:LINE:COLUMN: key: what is wrong; what would be right
// and nothing here throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/key_file.hpp"
#include "app/revocation.hpp"
#include "io/audit_queue.hpp"
#include "io/log.hpp"
#include "io/tls.hpp"
#include "policy/access.hpp"
#include "policy/introspection.hpp"
#include "policy/namespaces.hpp"
#include "policy/snapshot.hpp"
#include "tokenring/result.hpp"
#include "tokenring/ring.hpp"

namespace tokenring {

// Where keys come from: one of them, or none.
struct KeySource {
  std::string at;  // FILE:LINE:COLUMN: KEY, for what only shows when they are read.
  std::string file;
  std::string credential;
  KeyCommand command;  // argv empty: none.

  [[nodiscard]] bool any() const noexcept {
    return !file.empty() || !credential.empty() || !command.argv.empty();
  }
};

// The port for operators' programs.
struct AdminConfig {
  std::string listen;                 // Fits parse_listen_address(); empty: there is none.
  std::string token_file;             // Empty: none is asked for. Else see admin_token.hpp.
  std::string token_at;               // As KeySource::at.
  std::string tls;                    // As ListenOptions::tls.
  std::optional<std::uint32_t> mode;  // As ListenOptions::mode.
};

// [tls.NAME]: what is shown to others and asked of them, on either side.
struct TlsConfig {
  // A file that is named, and where it is: FILE:LINE:COLUMN: KEY, for what shows when it is read.
  struct File {
    std::string path;  // Empty: none.
    std::string at;
  };

  std::string name;
  File certificate;
  File key;
  File client_ca;
  ClientCertificates client_certificates = ClientCertificates::kNone;
  File ca;                    // Of nodes; none: those that the system trusts.
  bool verifies_name = true;  // Of nodes; else `ca` alone says who is one.
  std::string verify_name;    // Empty: each node's own host.
  bool only_1_3 = false;
  bool ktls = false;
};

// What holds for the clients of one address of `listen`.
struct ListenOptions {
  bool identify = false;  // Who they are is asked, and what no identity may do is denied.
  std::string tls = {};   // The name of one of Config::tls; empty: plain.
  // Of a unix socket's file; none: by the umask.
  std::optional<std::uint32_t> mode = {};
  friend bool operator==(const ListenOptions&, const ListenOptions&) = default;
};

// What is written down of who did what; see audit.hpp.
struct AuditConfig {
  std::string file;           // "-": standard output; empty: nothing is.
  std::string file_at;        // As KeySource::at.
  double sample_gets = 0.01;  // The share of reads,
  double sample_writes = 1;   // and of what changes something.
  std::size_t queue_max = AuditQueue::kEventsDefault;

  [[nodiscard]] bool is_on() const noexcept { return !file.empty(); }
};

struct PoolConfig {
  std::string name;
  std::vector<NodeSpec> nodes;
  std::vector<std::string> expanded;  // The nodes, by address, that are all addresses of a name.
  std::int64_t resolve_every_ms = 30'000;
  std::string gutter;  // The name of one of Config::pools, where on_node_down says so.
  std::string tls;     // As ListenOptions::tls.
  RingOptions ring;
  PoolOptions options;
};

struct IntrospectionConfig {
  Introspection rules;  // But for what stands in the files below.
  std::string client_secret_file;
  std::string bearer_file;
  std::string secret_at;  // Of the one of them that is given, as KeySource::at.
  std::string ca;
  std::string ca_at;
  std::string jwks_file;  // Keys of who may sign answers that are JWTs; empty: none is believed.
  std::string jwks_at;
  std::string issuer;  // What such an answer must say in iss, and in aud.
  std::string audience;
};

struct NamespaceConfig {
  std::string prefix;  // Empty: all keys that no other namespace claims.
  std::string pool;    // The name of one of Config::pools.
  LifeRules life;
  SealRules seal;
  TokenRules tokens;
  std::string dictionary;     // Path of a file; empty: none.
  std::string dictionary_at;  // As KeySource::at.
  std::string seal_until_at;
  std::string fill;  // The name of one of Config::introspections; empty: nobody is asked.
  std::string fill_at;
  bool coalesce = false;
  std::size_t near_bytes = 0;  // Of all workers; 0: there is no near cache.
  std::int64_t near_ttl_ms = 0;
  bool flush_all = true;
  std::string identity;  // The name of one with keys of its own; empty: all that share keys.
};

// A row of what an identity may do.
struct AllowConfig {
  std::optional<std::vector<std::string>> namespaces = std::nullopt;  // By prefix; unset: all.
  Rights rights;
};

struct IdentityConfig {
  std::string name;
  Recognition recognition;
  std::string user_at;  // Of its users, as KeySource::at.
  std::vector<AllowConfig> allow;
  bool hides = false;
  bool isolates = false;
  Quota quota;

  // What nodes find in front of its keys, if it isolates.
  [[nodiscard]] std::string mark() const { return name + "/"; }
};

struct Config {
  static constexpr std::size_t kFileBytesMax = std::size_t{1} << 20;
  static constexpr std::uint32_t kWorkersMax = 256;

  std::vector<std::string> listen{"127.0.0.1:11211"};  // Each fits parse_listen_address().
  // By address: those that differ from the default.
  std::map<std::string, ListenOptions, std::less<>> listen_options;
  std::uint32_t workers = 0;          // 0: as many as CPUs.
  std::uint32_t clients_max = 65536;  // Of all workers together.
  Limits limits;  // But for clients_per_worker_max, which follows from the two above.
  std::int64_t coalesce_max_us = 200;  // 0: off.
  std::int64_t drain_timeout_ms = 10'000;
  KeySource keys;
  bool flush_all = true;                                 // Whether clients may flush all nodes,
  std::optional<std::vector<std::string>> flush_all_at;  // or only those of these addresses.
  LogLevel log_level = LogLevel::kInfo;
  // "unix:/path", or "" for none. Unset: an abstract socket named for the first listening address.
  std::optional<std::string> control;
  AdminConfig admin;
  RevocationConfig revocation;
  std::vector<TlsConfig> tls;
  AuditConfig audit;
  std::size_t embedded_memory_bytes = std::size_t{64} << 20;
  std::vector<PoolConfig> pools;                    // In the order of the file; at least one.
  std::vector<IntrospectionConfig> introspections;  // In the order of the file.
  std::vector<NamespaceConfig> namespaces;
  std::string auth_file;  // Empty: nobody can log in.
  std::string auth_at;    // As KeySource::at.
  std::vector<IdentityConfig> identities;
};

// What an empty file means: one pool named "default" with the embedded node.
[[nodiscard]] Config default_config();

[[nodiscard]] Result<Config, std::string> read_config(const std::string& path);
// The whole file, up to Config::kFileBytesMax and one byte. The error is one line.
[[nodiscard]] Result<std::string, std::string> file_text(const std::string& path);
// `file_name` is for messages only.
[[nodiscard]] Result<Config, std::string> parse_config(std::string_view text,
                                                       std::string_view file_name);

// Every key that the parser knows, in full: "listen", "limits.clients_max", "pools.NAME.nodes",
// "pools.NAME.nodes[].weight", "namespaces[].prefix".
[[nodiscard]] std::vector<std::string> known_keys();

// Where a name leads at present: numeric addresses with the port.
struct NamePlaces {
  std::vector<std::string> all;  // At least one, in byte order.
  std::string chosen;            // One of them: where a node that is not expanded is reached.
  friend bool operator==(const NamePlaces&, const NamePlaces&) = default;
};
struct AccessMaterial;
struct SealMaterial;

// By the node's address, as in the file.
using Names = std::map<std::string, NamePlaces, std::less<>>;

// A node whose name is not among `names` stands there at its name, which leads nowhere.
// Where there is one pool and no namespace has the empty prefix, one is added: every key has a
// pool.
// `before`: tallies that go on, of the snapshot that is replaced.
// REQUIRES: the material that the configuration names.
[[nodiscard]] Result<std::shared_ptr<const Snapshot>, std::string> make_snapshot(
    const Config& config, const Names& names, const SealMaterial& material,
    const Tallies* before = nullptr, const AccessMaterial* access = nullptr);

// The table of that name; null: there is none.
[[nodiscard]] const TlsConfig* tls_named(const Config& config, std::string_view name) noexcept;

// What holds for the clients of an address of `listen`.
[[nodiscard]] const ListenOptions& options_of(const Config& config,
                                              std::string_view address) noexcept;

// What is no error and still not meant, each as a line like an error's: a deadline that is over.
// `users`: what auth.file says; null: none is named.
[[nodiscard]] std::vector<std::string> warnings(const Config& config, const UserBook* users,
                                                UnixTime now);

// Where the control socket is, in the form of io/handover.hpp; empty: there is none.
[[nodiscard]] std::string control_name(const Config& config);
// What can be told of `listen` and `control` where the rest of a file is in error.
[[nodiscard]] Config config_despite_errors(const std::string& path);

// `workers`, or the CPUs this process may use.
[[nodiscard]] std::uint32_t worker_count(const Config& config) noexcept;

}  // namespace tokenring
