// What workers are told of the audit log.
#pragma once

#include <memory>

#include "app/config.hpp"

namespace tokenring {

// REQUIRES: the snapshot's pools, namespaces and keys are there.
[[nodiscard]] std::shared_ptr<const AuditRules> make_audit_rules(const AuditConfig& config,
                                                                 const Snapshot& snapshot);

}  // namespace tokenring
