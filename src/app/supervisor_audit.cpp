// The supervisor's part of the audit log: the file it is written to, and what the process itself
// has to tell.
#include <fmt/format.h>

#include <stdexcept>

#include "app/supervisor.hpp"
#include "io/clock.hpp"
#include "io/log.hpp"

namespace tokenring {

// REQUIRES: `file` is there where the log is to be on and has not begun. Throws where it cannot
// begin then.
void Supervisor::adopt_audit(Fd file) {
  audit_queue_.set_max(config_.audit.queue_max);
  if (!config_.audit.is_on()) {
    audit_.reset();
  } else if (audit_ == nullptr) {
    auto log = begin_audit_log(config_.audit, audit_queue_, std::move(file));
    if (!log) throw std::runtime_error(log.error());
    audit_ = *std::move(log);
  } else if (file) {
    audit_->use(std::move(file));
  }
}

// Whoever moved the file away wants the next lines at its name again.
void Supervisor::reopen_audit() {
  if (audit_ == nullptr) return;
  auto file = open_audit_file(config_.audit);
  if (!file) {
    log_event(LogLevel::kError, LogEvent::kAudit, "{}; the file that is open stays", file.error());
    return;
  }
  audit_->use(*std::move(file));
  log_event(LogLevel::kInfo, LogEvent::kAudit, "{} is opened again", config_.audit.file);
}

void Supervisor::audit(AuditEvent event) {
  if (audit_ != nullptr) put_audit(std::move(event));
}

void Supervisor::put_audit(AuditEvent event) {
  AuditBatch batch{.at_ms = unix_ms(), .instant = read_clock().instant};
  batch.events.push_back(std::move(event));
  audit_queue_.put(std::move(batch));
}

void Supervisor::audit_keys() {
  if (audit_ == nullptr || material_.seal.keyring == nullptr) return;
  std::string ids;
  for (std::size_t n = 0; n < material_.seal.keyring->master_count(); ++n)
    ids += fmt::format("{}{:08x}", n == 0 ? "" : " ", material_.seal.keyring->key_id(n));
  audit({.action = AuditAction::kKeysLoaded, .detail = std::move(ids)});
}

// Every second: what is lost shows where operators look, too.
void Supervisor::tell_audit_drops() {
  const AuditDrops dropped = audit_queue_.counts().dropped();
  if (dropped.all() == told_audit_drops_) return;
  log_event(LogLevel::kWarn, LogEvent::kAudit,
            "{} events dropped so far, {} of them anomalies, for {} does not take them",
            dropped.all(), dropped.anomalies,
            config_.audit.is_on() ? config_.audit.file : "its file");
  told_audit_drops_ = dropped.all();
}

}  // namespace tokenring
