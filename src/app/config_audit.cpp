// The table `audit` of the file, and what workers get of it.

#include <array>
#include <cmath>

#include "app/audit_rules.hpp"
#include "app/config_draft.hpp"
#include "app/config_rows.hpp"
#include "app/random_seed.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

constexpr Range kQueueEvents{16, 1'048'576};

constexpr std::array kAuditRows{
    Row<Draft>{"file",
               [](const Value& value, Draft& draft) {
                 draft.audit_file_at = value.position();
                 take(value.text("the path of a file, or \"-\" for standard output"),
                      draft.config.audit.file);
               }},
    Row<Draft>{"sample_gets",
               [](const Value& value, Draft& draft) {
                 take(value.number(0, 1), draft.config.audit.sample_gets);
               }},
    Row<Draft>{"sample_writes",
               [](const Value& value, Draft& draft) {
                 take(value.number(0, 1), draft.config.audit.sample_writes);
               }},
    Row<Draft>{"queue_max",
               [](const Value& value, Draft& draft) {
                 take(value.integer(kQueueEvents), draft.config.audit.queue_max);
               }},
};

std::uint64_t share(double of_one) noexcept {
  return static_cast<std::uint64_t>(std::llround(of_one * static_cast<double>(AuditRules::kAll)));
}

// Of this process alone: references compare within one run. Null when there is no entropy.
std::shared_ptr<const AuditHash> own_references() {
  static const std::shared_ptr<const AuditHash> only = []() -> std::shared_ptr<const AuditHash> {
    SecretBytes key(32);
    if (!system_entropy().fill(key.bytes())) return nullptr;
    return std::make_shared<const AuditHash>(key.bytes());
  }();
  return only;
}

std::uint64_t own_seed() {
  static const std::uint64_t only = random_seed();
  return only;
}

}  // namespace

void read_audit(const Value& value, Draft& draft) {
  read_table(value, kAuditRows, draft);
}

void append_audit_keys(std::vector<std::string>& keys) {
  append_keys("audit.", kAuditRows, keys);
}

std::shared_ptr<const AuditRules> make_audit_rules(const AuditConfig& config,
                                                   const Snapshot& snapshot) {
  const auto names = std::make_shared<AuditNames>();
  for (const Namespace& space : snapshot.namespaces.all()) names->spaces.push_back(space.prefix);
  for (const Pool& pool : snapshot.pools)
    for (std::size_t n = 0; n < pool.nodes.size(); ++n) names->nodes.emplace_back(pool.place_of(n));
  const auto rules = std::make_shared<AuditRules>();
  rules->reads = share(config.sample_gets);
  rules->writes = share(config.sample_writes);
  rules->seed = own_seed();
  rules->names = names;
  rules->references =
      snapshot.keyring == nullptr
          ? own_references()
          : std::shared_ptr<const AuditHash>(snapshot.keyring, &snapshot.keyring->audit());
  return rules;
}

}  // namespace tokenring
