// Namespaces whose tokens have rules: what else is asked of the nodes for a request, and what a
// reply then means.
//
//   serve:    serve_token: delete of a group -> revoke; delete -> bury; writes -> store;
//             reads -> the marker with them
//   deliver:  fill_sealed: wait for the marker, take away what may be read once, reveal
#include <charconv>

#include "base/assert.hpp"
#include "proxy/engine.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kCrLf = "\r\n";

bool may_guard(const Request& request) {
  const bool adds = request.verb() == Verb::kSet && request.store_mode == StoreMode::kAdd &&
                    !request.has_cas && !request.wants_invalidate;
  const bool reads = request.verb() == Verb::kGet && !request.has_ttl && !request.has_vivify;
  return adds || reads || request.verb() == Verb::kDebug;
}

}  // namespace

void Engine::serve_token(Link& link, const Request& request, std::string_view key, Plan& plan,
                         std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  const Namespace& space = snapshot_->namespaces.all()[slot.space];
  Sealing& sealing = sealings_[slot.sealing];
  sealing.link = id_of(link);
  if (space.tokens.replay_guard && !may_guard(request))
    return fail(index, WireError::kGuardedReplay);
  if (space.tokens.revokes()) name_marker(slot, space, key, link);
  switch (request.verb()) {
    case Verb::kDelete:
      // What takes the place of a value that is too large is no delete of the client's.
      if (space.tokens.revokes() && names_group(space, key) && !slot.refuses_value)
        return revoke(index);
      if (space.tokens.asks_elsewhere()) fills_.retract(slot, key, true);
      if (space.tokens.fill_guard_s > 0 && !request.wants_invalidate && !slot.refuses_value)
        return bury(link, request, plan, index);
      break;
    case Verb::kSet:
    case Verb::kArithmetic:
      if (space.tokens.asks_elsewhere()) fills_.retract(slot, key, false);
      if (changes_value(request))
        return begin_change(link, *clients_.find(slot.client), request, plan, index);
      return store(link, request, plan, index);
    case Verb::kGet:
      if (space.tokens.revokes() &&
          !ask_marker(index, is_leased(slot) ? Command::kMetaGet : request.command,
                      request.touches()))
        return;
      if (is_leased(slot)) return read_leased(link, index);
      if (space.tokens.one_time && request.wants_value)
        return read_once(link, request, plan, index);
      break;
    case Verb::kDebug:
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  send(link, request, plan, index);
}

// A value that may be read once is read with its CAS number, and is the client's when it was this
// request that took it away.
void Engine::read_once(Link& link, const Request& request, Plan& plan,
                       std::uint32_t index) noexcept {
  Sealing& sealing = sealings_[slots_[index].sealing];
  sealing.consumes = true;
  if (!is_text_get(request.command)) {
    // With C it is asked for anyway.
    const bool has_cas = request.has_cas || !find_flag(request.flags, 'c').empty();
    sealing.hides_cas = !has_cas;
    if (!has_cas) plan.more_flags = sealing.wants_flags ? " c" : " f c";
    return send(link, request, plan, index);
  }
  Request look;
  look.command = Command::kGets;
  plan.ttl.reset();
  send(link, look, plan, index);
}

// Takes away what slot `index` has read, which is held until that is done.
void Engine::consume(std::uint32_t index, const Reply& reply) noexcept {
  Sealing& sealing = sealings_[slots_[index].sealing];
  Link* link = find_link(sealing.link);
  if (link == nullptr || link->state != Link::State::kUp) return fail(index, WireError::kNodeLost);
  sealing.consumes = false;
  hold(index, reply);
  Request removal;
  removal.command = Command::kMetaDelete;
  removal.has_cas = true;
  removal.cas = cas_of(reply);
  std::array<char, 24> flag;
  flag[0] = ' ';
  flag[1] = 'C';
  const auto end = std::to_chars(flag.data() + 2, flag.data() + flag.size(), removal.cas.value);
  Plan plan = plan_again(slots_[index]);
  plan.more_flags = {flag.data(), static_cast<std::size_t>(end.ptr - flag.data())};
  const std::uint32_t aside = add_aside(Sealing::Aside::kRemoval, index, removal.command);
  wait_for(index, aside);
  send(*link, removal, plan, aside);
}

// The node's answer to slot `index`, which takes away what its follower has read.
void Engine::end_removal(std::uint32_t index, const Reply& reply) noexcept {
  if (reply.is_error()) return fail(index, WireError::kNodeError);
  const std::uint32_t waiting = take_follower(index);
  if (waiting == kNoSlot) return;
  Slot& slot = slots_[waiting];
  if (reply.code == ReplyCode::kHeader) {
    count_in_space(slot.space, SpaceTally::kConsumed);
    return go_on(waiting);
  }
  count_in_space(slot.space, SpaceTally::kLostRaces);
  sealings_[slot.sealing].oddity = Sealing::Oddity::kLostRace;
  if (!slot.in_client || slot.filled) return release_if_unlisted(waiting);
  static_cast<void>(fill_shown(waiting, miss_of(slot.context.command), nullptr));
}

// A delete leaves a tombstone, which keeps away what was fetched before it. Whether there was
// anything to delete, a look just before tells.
void Engine::bury(Link& link, const Request& request, Plan& plan, std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  Sealing& sealing = sealings_[slot.sealing];
  sealing.buries = true;
  Request look;
  look.command = Command::kMetaGet;
  Plan look_plan = plan;
  look_plan.more_flags = " v f";
  const std::uint32_t aside = add_aside(Sealing::Aside::kLook, index, look.command);
  sealings_[slots_[aside].sealing].looks_for = index;
  slots_[aside].context.key = slot.context.key;  // `slot` outlives it: it is the next in the FIFO.
  slots_[aside].context.key_is_base64 = slot.context.key_is_base64;
  send(link, look, look_plan, aside);
  Request write;
  write.has_cas = request.has_cas;
  write.cas = request.cas;
  plan.ttl = Expiry::in_seconds(snapshot_->namespaces.all()[slot.space].tokens.fill_guard_s,
                                now_.unix_time);
  send_control(link, index, write, plan, identity_of(slot, 0), {}, std::nullopt);
}

// Sends an item of our own, with `body` sealed as such, by slot `index`'s request.
void Engine::send_control(Link& link, std::uint32_t index, Request& write, Plan& plan,
                          const ValueIdentity& identity, std::string_view body,
                          std::optional<std::uint64_t> generation) noexcept {
  std::array<char, kMarkerBytes + kCrLf.size()> sealed;  // A marker is the largest.
  TR_ASSERT(sealed_size(body.size(), generation.has_value()) <= kMarkerBytes);
  const SealOptions options{.generation = generation, .control = true};
  plan.value_bytes = sealer_->seal(identity, body, options, now_.unix_time, sealed.data());
  if (plan.value_bytes == 0) return fail(index, WireError::kCannotSeal);
  kCrLf.copy(sealed.data() + plan.value_bytes, kCrLf.size());
  write.command = Command::kSet;
  write.value = {sealed.data(), plan.value_bytes};
  Sealing& sealing = sealings_[slots_[index].sealing];
  sealing.sends_as_is = true;
  send(link, write, plan, index);
  sealing.sends_as_is = false;
}

// The node's answer to slot `index`, which looks at what is about to be buried.
void Engine::end_look(std::uint32_t index, const Reply& reply) noexcept {
  if (reply.code != ReplyCode::kValue) return;
  const Slot& look = slots_[index];
  const std::uint32_t buried = sealings_[look.sealing].looks_for;
  std::uint32_t client_flags = 0;
  const std::string_view flags = flag_value(reply.rest, 'f');
  std::from_chars(flags.data(), flags.data() + flags.size(), client_flags);
  Buffer plain;
  const OpenResult opened = open_value(look, client_flags, reply.value, plain);
  sealings_[slots_[buried].sealing].found = opened.opened();
}

// A reply in a sealed namespace, once all that it hangs on is there.
bool Engine::fill_sealed(std::uint32_t index, const Reply& reply) noexcept {
  Slot& slot = slots_[index];
  Sealing& sealing = sealings_[slot.sealing];
  switch (sealing.aside) {
    case Sealing::Aside::kNone:
    case Sealing::Aside::kFill:  // Is in no FIFO.
      break;
    case Sealing::Aside::kMarker:
      return learn_marker(index, reply);
    case Sealing::Aside::kRemoval:
      end_removal(index, reply);
      return true;
    case Sealing::Aside::kLook:
      end_look(index, reply);
      return true;
  }
  if (!reply.is_error() && awaits_marker(sealing)) {
    hold(index, reply);
    wait_for(index, markers_[sealing.marker].slot);
    return true;
  }
  if (reply.code != ReplyCode::kTextValue && !reply.is_error() && is_leased(slot)) {
    std::string rest;
    const std::optional<Reply> text = as_text(index, reply, rest);
    return !text || fill_ready(index, *text, reply);
  }
  return fill_ready(index, reply, reply);
}

// All that the reply hangs on is there. `said`: what the node said.
bool Engine::fill_ready(std::uint32_t index, const Reply& reply, const Reply& said) noexcept {
  Slot& slot = slots_[index];
  Sealing& sealing = sealings_[slot.sealing];
  if (slot.first_follower != kNoSlot && !fill_followers(index, said)) return false;
  slot.leads = false;
  if (sealing.known_until.seconds > 0 && reply.code == ReplyCode::kHeader) remember_added(slot);
  if (!slot.in_client || slot.filled) return true;
  if (reply.is_error()) {
    fail_sealed(slot);
    return fill_shown(index, reply, nullptr);
  }
  const TokenRules& rules = rules_of_tokens(slot);
  if (row_of(slot.context.command).verb == Verb::kGet) keep_ticket(slot);
  if (rules.replay_guard && reply.code == ReplyCode::kNotStored)
    count_in_space(slot.space, SpaceTally::kReplays);
  if (sealing.revokes && reply.code == ReplyCode::kHeader)
    count_in_space(slot.space, SpaceTally::kRevocations);
  if (sealing.buries && reply.code == ReplyCode::kHeader && !sealing.found)
    return fill_shown(index, {.code = ReplyCode::kNotFound, .line = "NF\r\n"}, nullptr);
  if (sealing.consumes && !reply.value.empty()) {
    consume(index, reply);
    return true;
  }
  Buffer plain;
  const Reply shown = reveal(slot, reply, plain);
  const bool waits = rules.asks_elsewhere() && fills_.ask(index, shown);
  return waits || fill_shown(index, shown, &plain);
}

// What slot's request has added is to be refused from now on. Where it was to be refused already,
// its node has lost it: it evicted it, was restarted or flushed.
void Engine::remember_added(Slot& slot) noexcept {
  if (!rules_of_tokens(slot).replay_guard || options_.board == nullptr) return;
  const std::string_view space = snapshot_->namespaces.all()[slot.space].prefix;
  const std::string_view key = identity_of(slot, 0).client_key;
  Sealing& sealing = sealings_[slot.sealing];
  if (!options_.board->replays.add(space, key, sealing.known_until, now_.unix_time)) return;
  count_in_space(slot.space, SpaceTally::kForgotten);
  sealing.oddity = Sealing::Oddity::kForgotten;
  if (outbox_.seal_events.size() == Outbox::kSealEventsMax) return;
  SealEvent& event = outbox_.seal_events.emplace_back();
  event.backend = heard_backend_;
  event.space = slot.space;
  event.is_lost = true;
  snapshot_->keyring->audit().refer({.space = space, .key = key}, event.reference.data());
}

// The client of the slot is about to get a failure, or the miss that stands for one.
void Engine::fail_sealed(const Slot& slot) noexcept {
  if (row_of(slot.context.command).verb == Verb::kGet) keep_ticket(slot);
  keep_tickets(slot);
}

}  // namespace tokenring
