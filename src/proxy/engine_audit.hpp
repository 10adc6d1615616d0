// EngineAudit: an engine's part that feeds the audit log. Which requests are told, by whom, and how
// each ended.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "policy/audit_rules.hpp"
#include "policy/identity.hpp"
#include "proxy/audit.hpp"
#include "proxy/session.hpp"
#include "proxy/slot.hpp"
#include "tokenring/envelope.hpp"
#include "tokenring/reply.hpp"

namespace tokenring {

class Engine;

class EngineAudit {
 public:
  explicit EngineAudit(Engine& engine) : engine_(engine) {}
  EngineAudit(const EngineAudit&) = delete;
  EngineAudit& operator=(const EngineAudit&) = delete;

  // What became known since the last time; null: nothing. Take it before the engine adopts another
  // snapshot, for its numbers are of the present one.
  [[nodiscard]] std::unique_ptr<AuditWork> take() noexcept { return std::move(work_); }

  // -- For the engine. REQUIRES: is_on(), but for these three.
  [[nodiscard]] bool is_on() const noexcept { return rules_ != nullptr; }
  // Null: there is no key to make them with.
  [[nodiscard]] const AuditHash* references() const noexcept {
    return rules_ == nullptr ? nullptr : rules_->references.get();
  }
  void adopt() noexcept;
  void keep_peer(ClientId id, const Peer& peer);
  // Of a client that came while the log was on; else empty.
  [[nodiscard]] std::string_view peer_of(ClientId id) const noexcept;
  // Before Engine::put() fills the slot with a node's reply; what that returns.
  [[nodiscard]] bool tell_and_put(std::uint32_t slot, const Reply& reply, Buffer* whole) noexcept;
  // No node's answer came, whatever its client is told in place of it.
  void tell_failure(const Slot& slot, WireError error) noexcept;
  void tell_unopened(const Slot& slot, OpenOutcome outcome) noexcept;
  void tell_access(const AccessEvent& event) noexcept;
  // The node's reply was a miss, and the slot waits for what is asked elsewhere.
  void tell_asked(const Slot& slot) noexcept;
  // A command that nobody may use here. `command` is of static storage.
  void tell_refused(ClientId id, AuditAction action, std::string_view command,
                    WireError error) noexcept;

 private:
  void tell_reply(const Slot& slot, const Reply& reply) noexcept;
  void tell_ending(const Slot& slot, AuditAction action, AuditOutcome outcome,
                   std::string_view reason, bool is_sampled) noexcept;
  [[nodiscard]] bool chooses(AuditAction action) noexcept;
  [[nodiscard]] AuditEvent* add(AuditAction action, bool is_sampled, std::uint64_t who) noexcept;
  [[nodiscard]] AuditEvent* add(const Slot& slot, AuditAction action, bool is_sampled) noexcept;
  void note_miss(const Slot& slot) noexcept;
  void name_client(ClientId id, std::string& identity, std::string& peer) noexcept;
  [[nodiscard]] AuditWork& work() {
    if (work_ == nullptr) work_ = std::make_unique<AuditWork>();
    return *work_;
  }

  Engine& engine_;
  const AuditRules* rules_ = nullptr;  // Of the engine's snapshot; null: nothing is audited.
  std::unique_ptr<AuditWork> work_;
  std::vector<std::string> peers_;  // By ClientId::index; empty: not known.
};

}  // namespace tokenring
