// AuditRules: what an engine has to know to feed the audit log, as part of a snapshot.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "seal/blind.hpp"

namespace tokenring {

// What the numbers in events stand for. It outlives the snapshot in which they were made, and holds
// no secret.
struct AuditNames {
  std::vector<std::string> spaces;  // Prefixes, in the order of NamespaceTable::all().
  std::vector<std::string> nodes;   // Where each is reached, by backend.
};

struct AuditRules {
  static constexpr std::uint64_t kAll = std::uint64_t{1} << 32;  // The share that is all of them.

  std::uint64_t reads = 0;      // Of kAll: how many reads are told,
  std::uint64_t writes = kAll;  // and how many writes, touches and deletes.
  std::uint64_t seed = 0;       // Of the hashes by which missed keys are told apart.
  std::shared_ptr<const AuditHash> references = nullptr;
  std::shared_ptr<const AuditNames> names = nullptr;
};

}  // namespace tokenring
