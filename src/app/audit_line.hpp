// What the audit log says of one event: a line of JSON whose fields are those of the Elastic Common
// Schema, and our own below `tokenring`. README.md describes them.
#pragma once

#include <cstdint>
#include <string>

#include "io/audit_queue.hpp"

namespace tokenring {

// What an event cannot say in words of its own.
struct AuditExtras {
  std::uint64_t number = 0;  // Of the line, counted from the process's start on.
  AuditDrops drops = {};     // kAuditDropped.
  std::uint64_t count = 0;   // kEnumeration: as EnumerationDetector::Finding has it.
  std::uint64_t usual = 0;
};

// Whether an operator would like to see it: what a client was refused, or what should not have
// been.
[[nodiscard]] bool is_trouble(const AuditEvent& event) noexcept;
// It, in words, for the admin page.
[[nodiscard]] std::string trouble_text(const AuditBatch& batch, const AuditEvent& event);

// With its line's end. `batch`: from which the event is.
[[nodiscard]] std::string audit_line(const AuditBatch& batch, const AuditEvent& event,
                                     const AuditExtras& extras);

}  // namespace tokenring
