// The keys of the file but for pools and namespaces: what each takes and where it goes.

#include <fmt/format.h>

#include <array>

#include "app/address.hpp"
#include "app/config_draft.hpp"
#include "app/config_rows.hpp"

namespace tokenring {

namespace {

constexpr std::int64_t kKiB = 1 << 10;
constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kGiB = 1 << 30;

constexpr Range kWorkers{0, Config::kWorkersMax};
constexpr Range kCoalesceUs{0, 10'000};
constexpr Range kDrainMs{0, 3600'000};
constexpr Range kValueBytes{kKiB, 128 * kMiB};
constexpr Range kRequestsPerClient{1, 65536};
constexpr Range kPendingPerBackend{1, 16 << 20};
constexpr Range kOutputBytes{4 * kKiB, kGiB};
constexpr Range kClients{1, 16 << 20};
constexpr Range kMemoryBytes{kMiB, 32 * kGiB};
constexpr Range kKeyCommandMs{100, 600'000};
constexpr Range kInFlight{1, 1 << 28};
constexpr Range kBufferBytes{kMiB, 64 * kGiB};
constexpr Range kClientTimeoutS{0, 30 * 24 * 3600};
constexpr Range kHandshakes{1, 1 << 20};
constexpr Range kHandshakeMs{100, 600'000};

constexpr std::array kLogLevels{LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn,
                                LogLevel::kError};

void read_log_level(const Value& value, Draft& draft) {
  std::array<std::string_view, kLogLevels.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = name_of(kLogLevels[i]);
  const auto named = [](std::string_view name) -> std::optional<LogLevel> {
    for (const LogLevel level : kLogLevels)
      if (name_of(level) == name) return level;
    return std::nullopt;
  };
  take_word(value, names, named, draft.config.log_level);
}

void read_control(const Value& value, Draft& draft) {
  const std::optional<std::string> text = value.text();
  if (!text) return;
  draft.config.control = *text;
  if (text->empty()) return;
  const auto address = parse_listen_address(*text);
  if (!address || address->kind != Address::Kind::kUnix) {
    value.fail(
        fmt::format("{} is no place for the control socket; give \"unix:/path\", or \"\" "
                    "for none",
                    quoted(*text)));
  }
}

constexpr std::array kLimitRows{
    Row<Draft>{"value_bytes_max",
               [](const Value& value, Draft& draft) {
                 take(value.bytes(kValueBytes), draft.config.limits.value_bytes_max);
                 draft.value_bytes_max_at = value.position();
               }},
    Row<Draft>{"requests_per_client_max",
               [](const Value& value, Draft& draft) {
                 take(value.integer(kRequestsPerClient),
                      draft.config.limits.requests_per_client_max);
               }},
    Row<Draft>{"pending_per_backend_max",
               [](const Value& value, Draft& draft) {
                 take(value.integer(kPendingPerBackend),
                      draft.config.limits.pending_per_backend_max);
               }},
    Row<Draft>{"output_bytes_per_client_max",
               [](const Value& value, Draft& draft) {
                 take(value.bytes(kOutputBytes), draft.config.limits.output_bytes_per_client_max);
               }},
    Row<Draft>{"clients_max",
               [](const Value& value, Draft& draft) {
                 take(value.integer(kClients), draft.config.clients_max);
               }},
    Row<Draft>{"in_flight_per_worker_max",
               [](const Value& value, Draft& draft) {
                 take(value.integer(kInFlight), draft.config.limits.in_flight_per_worker_max);
               }},
    Row<Draft>{"buffer_bytes_per_worker_max",
               [](const Value& value, Draft& draft) {
                 take(value.bytes(kBufferBytes), draft.config.limits.buffer_bytes_per_worker_max);
               }},
    Row<Draft>{"idle_timeout",
               [](const Value& value, Draft& draft) {
                 take(value.duration(TimeUnit::kSecond, kClientTimeoutS),
                      draft.config.limits.idle_timeout_s);
               }},
    Row<Draft>{"request_read_timeout",
               [](const Value& value, Draft& draft) {
                 take(value.duration(TimeUnit::kSecond, kClientTimeoutS),
                      draft.config.limits.request_read_timeout_s);
               }},
    Row<Draft>{"reply_write_timeout",
               [](const Value& value, Draft& draft) {
                 take(value.duration(TimeUnit::kSecond, kClientTimeoutS),
                      draft.config.limits.reply_write_timeout_s);
               }},
    Row<Draft>{"handshakes_max",
               [](const Value& value, Draft& draft) {
                 take(value.integer(kHandshakes), draft.config.limits.handshakes_max);
               }},
    Row<Draft>{"handshake_timeout",
               [](const Value& value, Draft& draft) {
                 take(value.duration(TimeUnit::kMillisecond, kHandshakeMs),
                      draft.config.limits.handshake_timeout_ms);
               }},
};

void read_key_file_name(const Value& value, Draft& draft) {
  draft.keys_at = value.position();
  draft.keys_key = "file";
  take(value.text("the path of a file that `tokenring keygen` made"), draft.config.keys.file);
}

void read_key_command_words(const Value& value, Draft& draft) {
  draft.keys_at = value.position();
  draft.keys_key = "command";
  constexpr std::string_view kForm = "a program and its arguments, such as [\"/usr/bin/unwrap\"]";
  for (const Value& element : value.elements(kForm)) {
    const std::optional<std::string> word = element.text(kForm);
    if (word) draft.config.keys.command.argv.push_back(*word);
  }
  const auto& words = draft.config.keys.command.argv;
  if (!words.empty() && !words[0].starts_with('/'))
    value.fail(fmt::format("{} is no absolute path; give one, for no shell looks it up",
                           quoted(words[0])));
}

constexpr std::array kKeyRows{
    Row<Draft>{"file", read_key_file_name},
    Row<Draft>{"credential",
               [](const Value& value, Draft& draft) {
                 draft.keys_at = value.position();
                 draft.keys_key = "credential";
                 take(value.text("the name of a systemd credential"), draft.config.keys.credential);
               }},
    Row<Draft>{"command", read_key_command_words},
    Row<Draft>{"command_timeout",
               [](const Value& value, Draft& draft) {
                 take(value.duration(TimeUnit::kMillisecond, kKeyCommandMs),
                      draft.config.keys.command.timeout_ms);
               }},
};

constexpr std::array kEmbeddedRows{
    Row<Draft>{"memory",
               [](const Value& value, Draft& draft) {
                 take(value.bytes(kMemoryBytes), draft.config.embedded_memory_bytes);
                 draft.memory_at = value.position();
               }},
};

// true, false, or the addresses in `listen` whose clients may.
void read_flush_all(const Value& value, Draft& draft) {
  draft.flush_all_at = value.position();
  if (!value.is_array()) {
    take(value.boolean(), draft.config.flush_all);
    return;
  }
  draft.config.flush_all_at.emplace();
  for (const Value& element : value.elements(kListenForm))
    take(element.text(kListenForm), draft.config.flush_all_at->emplace_back());
}

constexpr std::array kTopRows{
    Row<Draft>{"listen", read_listen},
    Row<Draft>{"workers",
               [](const Value& value, Draft& draft) {
                 take(value.integer(kWorkers), draft.config.workers);
               }},
    Row<Draft>{"coalesce_max",
               [](const Value& value, Draft& draft) {
                 take(value.duration(TimeUnit::kMicrosecond, kCoalesceUs),
                      draft.config.coalesce_max_us);
               }},
    Row<Draft>{"drain_timeout",
               [](const Value& value, Draft& draft) {
                 take(value.duration(TimeUnit::kMillisecond, kDrainMs),
                      draft.config.drain_timeout_ms);
               }},
    Row<Draft>{"log_level", read_log_level},
    Row<Draft>{"flush_all", read_flush_all},
    Row<Draft>{"control", read_control},
    Row<Draft>{"limits",
               [](const Value& value, Draft& draft) { read_table(value, kLimitRows, draft); }},
    Row<Draft>{"embedded",
               [](const Value& value, Draft& draft) { read_table(value, kEmbeddedRows, draft); }},
    Row<Draft>{"keys",
               [](const Value& value, Draft& draft) { read_table(value, kKeyRows, draft); }},
    Row<Draft>{"admin", read_admin},
    Row<Draft>{"revocation", read_revocation},
    Row<Draft>{"audit", read_audit},
    Row<Draft>{"pools", read_pools},
    Row<Draft>{"introspection", read_introspection},
    Row<Draft>{"namespaces", read_namespaces},
    Row<Draft>{"tls", read_tls},
    Row<Draft>{"auth", read_auth},
    Row<Draft>{"identities", read_identities},
};

}  // namespace

void read_draft(const toml::table& document, Draft& draft, Errors& errors) {
  read_table(Value(document, "", errors), kTopRows, draft);
}

std::vector<std::string> known_keys() {
  std::vector<std::string> keys;
  append_keys("", kTopRows, keys);
  append_listen_keys(keys);
  append_keys("limits.", kLimitRows, keys);
  append_keys("embedded.", kEmbeddedRows, keys);
  append_keys("keys.", kKeyRows, keys);
  append_admin_keys(keys);
  append_revocation_keys(keys);
  append_audit_keys(keys);
  append_pool_keys(keys);
  append_introspection_keys(keys);
  append_namespace_keys(keys);
  append_tls_keys(keys);
  append_identity_keys(keys);
  return keys;
}

}  // namespace tokenring
