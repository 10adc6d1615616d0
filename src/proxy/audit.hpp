// What an engine tells the audit log: events, and keys that were missed. Neither has a key, a value
// or anything that one could be found out by.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/slot.hpp"
#include "seal/blind.hpp"

namespace tokenring {

// X(enumerator, event.action, event.category, event.type): the words of the Elastic Common Schema,
// which lists what types a category may have. Those before kNodeUp are of clients.
#define TOKENRING_AUDIT_ACTIONS(X)                         \
  X(kRead, "read", "database", "access")                   \
  X(kWrite, "write", "database", "change")                 \
  X(kTouch, "touch", "database", "change")                 \
  X(kDelete, "delete", "database", "change")               \
  X(kFlush, "flush", "database", "change")                 \
  X(kRevoke, "revoke", "session", "end")                   \
  X(kOpenFailed, "open_failed", "database", "error")       \
  X(kLogin, "login", "authentication", "start")            \
  X(kConnect, "connect", "network", "connection")          \
  X(kRightsLost, "rights_lost", "iam", "change")           \
  X(kCommand, "command", "database", "info")               \
  X(kIntrospect, "introspect", "authentication", "info")   \
  X(kNodeUp, "node_up", "host", "start")                   \
  X(kNodeDown, "node_down", "host", "end")                 \
  X(kNodeFlushed, "node_flushed", "host", "change")        \
  X(kStart, "start", "process", "start")                   \
  X(kDrain, "drain", "process", "change")                  \
  X(kStop, "stop", "process", "end")                       \
  X(kTakeover, "takeover", "process", "change")            \
  X(kReload, "reload", "configuration", "change")          \
  X(kKeysLoaded, "keys_loaded", "configuration", "change") \
  X(kAuditDropped, "audit_dropped", "process", "info")     \
  X(kEnumeration, "enumeration_suspected", "intrusion_detection", "info")

enum class AuditAction : std::uint8_t {
#define X(enumerator, ...) enumerator,
  TOKENRING_AUDIT_ACTIONS(X)
#undef X
};

enum class AuditOutcome : std::uint8_t { kSuccess, kFailure, kUnknown };

struct AuditEvent {
  static constexpr std::uint32_t kNoBackend = UINT32_MAX;
  static constexpr std::uint16_t kNoSpace = UINT16_MAX;

  AuditAction action = AuditAction::kRead;
  AuditOutcome outcome = AuditOutcome::kSuccess;
  std::string_view reason = {};   // Of static storage.
  std::string_view command = {};  // Likewise.
  std::uint16_t space = kNoSpace;
  std::uint32_t backend = kNoBackend;
  bool is_sampled = false;  // A share of what ended as usual; else it is an anomaly.
  bool has_reference = false;
  std::array<char, kAuditCharacters> reference{};  // Stands for the key.
  std::string identity = {};                       // Empty: nobody asked.
  std::string peer = {};                           // Empty: it is not known.
  std::string detail = {};                         // What is to be said beyond the reason.
};

// Whom an event counts for: an identity or else a host, for connections are cheap.
[[nodiscard]] inline std::string_view source_of(std::string_view identity,
                                                std::string_view peer) noexcept {
  return identity.empty() ? peer.substr(0, peer.rfind(':')) : identity;
}

// Events that were lost, by kind.
struct AuditDrops {
  std::uint64_t sampled = 0;
  std::uint64_t anomalies = 0;

  [[nodiscard]] std::uint64_t all() const noexcept { return sampled + anomalies; }
  void add(bool is_sampled, std::uint64_t n = 1) noexcept {
    (is_sampled ? sampled : anomalies) += n;
  }
  void add(const AuditDrops& other) noexcept {
    sampled += other.sampled;
    anomalies += other.anomalies;
  }
};

// Keys that one client missed, by hash.
struct MissedKeys {
  ClientId client = {};
  std::string identity = {};
  std::string peer = {};
  std::vector<std::uint64_t> keys = {};
};

// Of one turn. Anomalies have room of their own, or whoever sends enough of what is usual would
// push them out.
struct AuditWork {
  static constexpr std::size_t kEventsMax = 1'024;  // Of either kind.
  static constexpr std::size_t kOfOneMax = 256;     // Anomalies of one client in a row.
  static constexpr std::size_t kMissesMax = 4'096;

  std::vector<AuditEvent> events = {};
  std::vector<MissedKeys> misses = {};
  std::size_t anomalies = 0;  // Of `events`.
  std::uint64_t crowd = 0;    // Whose the last one was,
  std::size_t crowding = 0;   // and how many of him came just before it.
  std::size_t missed = 0;     // Keys in `misses`.
  AuditDrops lost = {};       // There was no room for,
  std::uint64_t lost_misses = 0;
};

}  // namespace tokenring
