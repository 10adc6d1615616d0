// Writes where tokens have rules: set, add, replace and cas.
//
//   store -> the generation is known by a ticket, and nothing has to be looked at: send
//         -> else begin_store: ask for the marker, or for marker and value -> store_over -> ms
//                                  ^                                             |
//                                  +--------- somebody else was faster ----------+
//
// What is stored belongs to the generation that its group had when the client read the key (a
// ticket), or else has now. A value of another generation, or a tombstone, is as good as nothing.
#include <algorithm>

#include "base/assert.hpp"
#include "proxy/engine.hpp"

namespace tokenring {

namespace {

// A node counts in ticks of a second, and may drop an item up to one early.
constexpr std::int64_t kGuardSlackS = 2;
// By which the clocks of two proxies may differ.
constexpr std::int64_t kClockSlackS = 5;

}  // namespace

void Engine::store(Link& link, const Request& request, Plan& plan, std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  const Namespace& space = snapshot_->namespaces.all()[slot.space];
  const TokenRules& rules = space.tokens;
  Sealing& sealing = sealings_[slot.sealing];
  if (!follow_token(slot, request, space.life, plan)) return fail(index, WireError::kNoTokenLife);
  if (rules.replay_guard && sealing.drops_value) {
    // What is over is no fresh token, seen or not.
    static_cast<void>(fill(index, {.code = ReplyCode::kNotStored, .line = "NS\r\n"}, nullptr));
    return;
  }
  // Known as long as the token is good, whatever the client asks for.
  if (const UnixTime exp = sealing.options.exp; rules.replay_guard && exp.seconds > 0)
    plan.ttl =
        Expiry::in_seconds(exp.seconds - now_.unix_time.seconds + kGuardSlackS, now_.unix_time);
  if (rules.replay_guard && request.store_mode == StoreMode::kAdd) {
    const std::int64_t life_s = plan.ttl.value_or(Expiry::never()).remaining_s(now_.unix_time);
    sealing.known_until.seconds = life_s == INT64_MAX ? INT64_MAX : now_.unix_time.seconds + life_s;
  }
  Client& client = *clients_.find(slot.client);
  std::optional<Tickets::Ticket> ticket;
  if (rules.revocation == Revocation::kGeneration) {
    ticket = tickets_->take(
        Tickets::whose(slot.client, client.tickets, identity_of(slot, 0).client_key), now_.instant);
  }
  const bool has_ticket = ticket && ticket->found;
  const bool needs_marker = rules.revocation == Revocation::kGeneration && !has_ticket;
  const bool is_plain_set = request.store_mode == StoreMode::kSet && !request.has_cas;
  const bool has_to_look = rules.fill_guard_s > 0 ||
                           (rules.herd_wait_ms > 0 && request.store_mode != StoreMode::kSet) ||
                           (rules.revokes() && !is_plain_set && !(has_ticket && request.has_cas));
  if (has_ticket) sealing.options.generation = ticket->generation;
  if (needs_marker || has_to_look) {
    sealing.change.looks = has_to_look;
    if (ticket && !ticket->found) {
      sealing.change.not_revoked_since_s = ticket->absent ? 0 : ticket->read_s - kClockSlackS;
      // A node that was away meanwhile may have lost what it was told.
      sealing.change.is_lost =
          !ticket->absent || ticket->link != id_of(links_[sealing.marker_link]);
    }
    sealing.change.generation = sealing.options.generation;
    return begin_store(link, client, request, plan, index);
  }
  if (sealing.marker != kNoSlot && marker_life(slot) && !ask_marker(index, Command::kMetaGet, true))
    return;
  send(link, request, plan, index);
}

void Engine::begin_store(Link& link, Client& client, const Request& request, const Plan& plan,
                         std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  Change& change = sealings_[slot.sealing].change;
  change.kind = Change::Kind::kStore;
  change.mode = request.store_mode;
  change.client_flags = request.client_flags;
  change.invalidates = request.wants_invalidate;
  if (request.has_cas) change.cas = request.cas;
  change.ttl = plan.ttl;
  change.wants_size = !find_flag(request.flags, 's').empty();
  change.operand = pool_.take(request.value.size());
  change.operand.append(request.value);
  ++client.changes;
  read_for_change(link, index);
}

// What is there was looked at: `there` is its CAS, 0 where there is nothing. `is_visible`: a client
// would be given it. `is_tombstone`: it was deleted a moment ago.
void Engine::store_over(Link& link, std::uint32_t index, Cas there, bool is_visible,
                        bool is_tombstone) noexcept {
  const Slot& slot = slots_[index];
  Change& change = sealings_[slot.sealing].change;
  const bool is_cas = change.cas.value != 0;
  const bool fills = !is_cas && change.mode != StoreMode::kReplace;
  if (is_tombstone && fills) return drop_fill(index);
  Reply refusal;
  if (change.mode == StoreMode::kAdd && is_visible)
    refusal = {.code = ReplyCode::kNotStored, .line = "NS\r\n"};
  else if (change.mode == StoreMode::kReplace && !is_visible)
    refusal = {.code = ReplyCode::kNotStored, .line = "NS\r\n"};
  else if (is_cas && !is_visible)
    refusal = {.code = ReplyCode::kNotFound, .line = "NF\r\n"};
  else if (is_cas && !change.invalidates && change.cas != there)
    refusal = {.code = ReplyCode::kExists, .line = "EX\r\n"};
  if (!refusal.line.empty()) {
    static_cast<void>(end_change(index, refusal, {}));
    return;
  }
  write_change(link, index, is_cas && change.invalidates ? change.cas : there, change.client_flags,
               change.operand.view());
}

// A fill that began before what it would bring back was deleted or revoked. It is dropped, and its
// client need not know: what it cached is not there when it is asked for.
void Engine::drop_fill(std::uint32_t index) noexcept {
  count_in_space(slots_[index].space, SpaceTally::kStaleFills);
  sealings_[slots_[index].sealing].oddity = Sealing::Oddity::kStaleFill;
  static_cast<void>(end_change(index, {.code = ReplyCode::kHeader, .line = "HD\r\n"}, {}));
}

// What the write has beyond a change's: its life, and the client's flags that bear on it.
void Engine::finish_store_plan(const Slot& slot, Plan& plan) noexcept {
  const Change& change = sealings_[slot.sealing].change;
  plan.ttl = change.ttl;
  revealed_.assign(plan.more_flags);
  if (change.invalidates) revealed_.append(" I");
  const std::string_view new_cas = find_flag(slot.context.flags, 'E');
  if (!new_cas.empty()) revealed_.append(" ").append(new_cas);
  plan.more_flags = revealed_;
}

// Before slot `index` writes: gives what it seals the generation of its group. False where it has
// to wait for that, or got its answer.
bool Engine::take_generation(std::uint32_t index) noexcept {
  const Slot& slot = slots_[index];
  Sealing& sealing = sealings_[slot.sealing];
  if (rules_of_tokens(slot).revocation != Revocation::kGeneration) return true;
  sealing.options.generation = sealing.change.generation;
  if (sealing.options.generation) return true;
  if (sealing.marker == kNoSlot) {
    fail(index, WireError::kCannotSeal);  // A reload has just made the rule.
    return false;
  }
  const Marker& marker = markers_[sealing.marker];
  if (marker.state == Marker::State::kFound) {
    const std::optional<std::int64_t>& since_s = sealing.change.not_revoked_since_s;
    const bool may_hide = marker.by_revocation || sealing.change.is_lost;
    if (since_s && may_hide && marker.written_s >= *since_s) {
      drop_fill(index);
      return false;
    }
    sealing.options.generation = marker.generation;
    return true;
  }
  if (sealing.change.is_lost) {
    drop_fill(index);
    return false;
  }
  sealing.change.state = Change::State::kMarking;
  write_marker(index, kMarkerCreated,
               marker.state == Marker::State::kUnreadable ? StoreMode::kSet : StoreMode::kAdd,
               marker.cas);
  return false;
}

}  // namespace tokenring
