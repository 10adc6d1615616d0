// The audit log's view of requests: which are told, and how each ended.
//
//   deliver:  fill -> tell_and_put: a miss counts for who asked; chosen? -> an event
//             fail -> tell_failure
//
// Nothing here runs where the log is off.
#include "proxy/engine_audit.hpp"

#include <xxhash.h>

#include "proxy/engine.hpp"
#include "tokenring/parse.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kRevokedReason = "revoked";

struct Ending {
  AuditOutcome outcome = AuditOutcome::kSuccess;
  std::string_view reason = {};
  bool is_miss = false;
};

Ending ending_of(const Reply& reply, bool reads) {
  switch (reply.code) {
    case ReplyCode::kValue:
    case ReplyCode::kTextValue:
    case ReplyCode::kHeader:
    case ReplyCode::kTouched:
    case ReplyCode::kDebug:
    case ReplyCode::kOk:
    case ReplyCode::kNoop:
    case ReplyCode::kStat:
    case ReplyCode::kReset:
    case ReplyCode::kVersion:
      return {.reason = reads ? "hit" : "done"};
    case ReplyCode::kEnd:
    case ReplyCode::kMiss:
      return {.reason = "miss", .is_miss = true};
    case ReplyCode::kNotFound:
    case ReplyCode::kTextNotFound:
      return {AuditOutcome::kFailure, "not found", true};
    case ReplyCode::kNotStored:
      return {AuditOutcome::kFailure, "not stored"};
    case ReplyCode::kExists:
      return {AuditOutcome::kFailure, "changed meanwhile"};
    case ReplyCode::kError:
    case ReplyCode::kClientError:
    case ReplyCode::kServerError:
      break;
  }
  return {AuditOutcome::kFailure, "node refused the request"};
}

// The error as it is told to clients, without its first word and its line's end.
std::string_view reason_of(WireError error) {
  std::string_view line = line_of(error);
  for (const std::string_view first : {"SERVER_ERROR ", "CLIENT_ERROR ", "ERROR: ", "ERROR "})
    if (line.starts_with(first)) line.remove_prefix(first.size());
  return line.substr(0, line.find('\r'));
}

// Whether the node may have done what it was asked for, though nobody said so.
bool may_be_done(WireError error) {
  return error == WireError::kNodeTimeout || error == WireError::kNodeLost ||
         error == WireError::kNodeBadReply;
}

// Of which a share is told where they end as usual.
bool is_sampled(AuditAction action) {
  return action == AuditAction::kRead || action == AuditAction::kWrite ||
         action == AuditAction::kTouch || action == AuditAction::kDelete;
}

std::uint64_t number_of(ClientId id) {
  return std::uint64_t{id.index} << 32 | id.generation;
}

// What the request's own rules made of it. True: that is an anomaly.
bool make_odd(Sealing::Oddity oddity, AuditAction action, Ending& ending) {
  switch (oddity) {
    case Sealing::Oddity::kNone:
      return false;
    case Sealing::Oddity::kRevoked:
      if (action == AuditAction::kRead || ending.outcome != AuditOutcome::kSuccess)
        ending.reason = kRevokedReason;
      return action == AuditAction::kRead;
    case Sealing::Oddity::kLostRace:
      ending.reason = "consumed by another";
      return true;
    case Sealing::Oddity::kStaleFill:
      ending.reason = "stale fill dropped";
      return true;
    case Sealing::Oddity::kForgotten:
      ending.reason = "replay forgotten";
      return true;
    case Sealing::Oddity::kIntrospected:
      ending.reason = "introspected";
      return false;
    case Sealing::Oddity::kInactive:
      ending.reason = "introspected: inactive";
      ending.is_miss = true;  // For whoever guesses tokens it is one.
      return false;
    case Sealing::Oddity::kUnanswered:
      ending.outcome = AuditOutcome::kFailure;
      ending.reason = "no answer";
      return false;
  }
  return false;
}

std::optional<AuditAction> action_of(Command command) {
  switch (row_of(command).verb) {
    case Verb::kGet:
      return command == Command::kTouch ? AuditAction::kTouch : AuditAction::kRead;
    case Verb::kSet:
    case Verb::kArithmetic:
      return AuditAction::kWrite;
    case Verb::kDelete:
      return AuditAction::kDelete;
    case Verb::kDebug:
      return AuditAction::kRead;
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  if (command == Command::kFlushAll) return AuditAction::kFlush;
  return std::nullopt;
}

}  // namespace

// A share of reads and of writes is told, and all of everything else.
bool EngineAudit::chooses(AuditAction action) noexcept {
  if (!is_sampled(action)) return true;
  const std::uint64_t share = action == AuditAction::kRead ? rules_->reads : rules_->writes;
  return share >= AuditRules::kAll || (share > 0 && engine_.random() >> 32 < share);
}

// Where the log is off, nothing of this may cost the one who fills: not even registers to be kept.
bool EngineAudit::tell_and_put(std::uint32_t slot, const Reply& reply, Buffer* whole) noexcept {
  tell_reply(engine_.slots_[slot], reply);
  return engine_.put(slot, reply, whole);
}

void EngineAudit::tell_reply(const Slot& slot, const Reply& reply) noexcept {
  std::optional<AuditAction> action = action_of(slot.context.command);
  if (!action) return;
  Ending ending = ending_of(reply, *action == AuditAction::kRead);
  bool is_odd = false;
  if (slot.sealing != kNoSlot) {
    const Sealing& sealing = engine_.sealings_[slot.sealing];
    if (sealing.revokes) action = AuditAction::kRevoke;
    const bool is_replay = reply.code == ReplyCode::kNotStored && slot.space != Slot::kNoSpace &&
                           engine_.rules_of_tokens(slot).replay_guard;
    is_odd = is_replay || make_odd(sealing.oddity, *action, ending);
    if (is_replay) ending.reason = "replay refused";
    if (is_odd && sealing.oddity != Sealing::Oddity::kForgotten)
      ending.outcome = AuditOutcome::kFailure;
  }
  if (ending.is_miss && *action == AuditAction::kRead) note_miss(slot);
  // What the proxy stores of an answer is told by the read that asked for it.
  if (!is_odd && (engine_.fills_.owns(slot.client) || !chooses(*action))) return;
  tell_ending(slot, *action, ending.outcome, ending.reason, !is_odd && is_sampled(*action));
}

void EngineAudit::tell_ending(const Slot& slot, AuditAction action, AuditOutcome outcome,
                              std::string_view reason, bool is_sampled) noexcept {
  AuditEvent* const event = add(slot, action, is_sampled);
  if (event == nullptr) return;
  event->outcome = outcome;
  event->reason = reason;
}

// The read itself is told when there is an answer, or none.
void EngineAudit::tell_asked(const Slot& slot) noexcept {
  if (engine_.sealings_[slot.sealing].oddity == Sealing::Oddity::kRevoked)
    tell_ending(slot, AuditAction::kRead, AuditOutcome::kFailure, kRevokedReason, false);
}

void EngineAudit::tell_refused(ClientId id, AuditAction action, std::string_view command,
                               WireError error) noexcept {
  AuditEvent* const event = add(action, false, number_of(id));
  if (event == nullptr) return;
  event->outcome = AuditOutcome::kFailure;
  event->reason = reason_of(error);
  event->command = command;
  name_client(id, event->identity, event->peer);
}

// No node's answer came, whatever its client is told in place of it.
void EngineAudit::tell_failure(const Slot& slot, WireError error) noexcept {
  std::optional<AuditAction> action = action_of(slot.context.command);
  if (!action) return;
  if (slot.sealing != kNoSlot && engine_.sealings_[slot.sealing].revokes)
    action = AuditAction::kRevoke;
  if (engine_.fills_.owns(slot.client) || !chooses(*action)) return;
  AuditEvent* const event = add(slot, *action, is_sampled(*action));
  if (event == nullptr) return;
  event->outcome = *action != AuditAction::kRead && may_be_done(error) ? AuditOutcome::kUnknown
                                                                       : AuditOutcome::kFailure;
  event->reason = reason_of(error);
  event->backend = AuditEvent::kNoBackend;  // What is being delivered may be another one's.
}

void EngineAudit::tell_unopened(const Slot& slot, OpenOutcome outcome) noexcept {
  tell_ending(slot, AuditAction::kOpenFailed, AuditOutcome::kFailure, name_of(outcome), false);
}

// What an identity may not do is told as the request that it is about.
void EngineAudit::tell_access(const AccessEvent& access) noexcept {
  using Kind = AccessEvent::Kind;
  AuditAction action = AuditAction::kLogin;
  AuditOutcome outcome = AuditOutcome::kFailure;
  switch (access.kind) {
    case Kind::kLoggedIn:
    case Kind::kRecognised:
      outcome = AuditOutcome::kSuccess;
      break;
    case Kind::kLoginFailed:
    case Kind::kLoginRefused:
      break;
    case Kind::kDenied:
    case Kind::kRateLimited:
      action = action_of(access.command).value_or(AuditAction::kCommand);
      break;
    case Kind::kTooManyConnections:
      action = AuditAction::kConnect;
      break;
    case Kind::kRightsLost:
      action = AuditAction::kRightsLost;
      break;
  }
  AuditEvent* const event = add(action, false, XXH3_64bits(access.peer.data(), access.peer.size()));
  if (event == nullptr) return;
  event->outcome = outcome;
  event->reason = name_of(access.kind);
  if (access.kind == Kind::kDenied || access.kind == Kind::kRateLimited)
    event->command = row_of(access.command).name;
  event->space = access.space;
  event->has_reference = access.has_reference;
  event->reference = access.reference;
  event->identity = access.identity;
  event->peer = access.peer;
}

// Null: there were too many in this turn, which is counted.
AuditEvent* EngineAudit::add(AuditAction action, bool is_sampled, std::uint64_t who) noexcept {
  AuditWork& work = this->work();
  const std::size_t sampled = work.events.size() - work.anomalies;
  bool has_room = (is_sampled ? sampled : work.anomalies) < AuditWork::kEventsMax;
  if (!is_sampled) {
    if (std::exchange(work.crowd, who) != who) work.crowding = 0;
    has_room = has_room && ++work.crowding <= AuditWork::kOfOneMax;
  }
  if (!has_room) {
    work.lost.add(is_sampled);
    return nullptr;
  }
  if (!is_sampled) ++work.anomalies;
  work.events.push_back({.action = action, .is_sampled = is_sampled});
  return &work.events.back();
}

AuditEvent* EngineAudit::add(const Slot& slot, AuditAction action, bool is_sampled) noexcept {
  AuditEvent* const event = add(action, is_sampled, number_of(slot.client));
  if (event == nullptr) return nullptr;
  event->command = row_of(slot.context.command).name;
  event->backend = engine_.heard_backend_;
  event->space = slot.space;
  name_client(slot.client, event->identity, event->peer);
  if (slot.space == Slot::kNoSpace || slot.context.key.empty() || references() == nullptr)
    return event;
  event->has_reference = true;
  references()->refer({.space = engine_.snapshot_->namespaces.all()[slot.space].prefix,
                       .key = engine_.identity_of(slot, 0).client_key},
                      event->reference.data());
  return event;
}

void EngineAudit::note_miss(const Slot& slot) noexcept {
  AuditWork& work = this->work();
  if (work.missed == AuditWork::kMissesMax) {
    ++work.lost_misses;
    return;
  }
  if (work.misses.empty() || work.misses.back().client != slot.client) {
    MissedKeys& missed = work.misses.emplace_back();
    missed.client = slot.client;
    name_client(slot.client, missed.identity, missed.peer);
  }
  const std::string_view key = engine_.identity_of(slot, 0).client_key;
  work.misses.back().keys.push_back(XXH3_64bits_withSeed(key.data(), key.size(), rules_->seed));
  ++work.missed;
}

void EngineAudit::adopt() noexcept {
  rules_ = engine_.snapshot_->audit.get();
  if (rules_ == nullptr) peers_.clear();
}

void EngineAudit::keep_peer(ClientId id, const Peer& peer) {
  if (id.index >= peers_.size()) peers_.resize(id.index + 1);
  peers_[id.index] = peer.kind == Peer::Kind::kUnknown ? std::string() : text_of(peer);
}

std::string_view EngineAudit::peer_of(ClientId id) const noexcept {
  return id.index < peers_.size() ? std::string_view(peers_[id.index]) : std::string_view();
}

void EngineAudit::name_client(ClientId id, std::string& identity, std::string& peer) noexcept {
  const Client* const client = engine_.clients_.find(id);
  if (client == nullptr) return;
  if (client->session != nullptr) identity = client->session->who->name;
  peer = peer_of(id);
}

}  // namespace tokenring
