// serve, second half: from one key of a request to the bytes for its node.
//
//   serve_key: target_of (namespace, pool, node) -> its link, or one that stands in -> follow a get
//   that is in flight, or plan_life -> send
#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "wire/numbers.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kCrLf = "\r\n";

SpaceTally space_tally_of(Verb verb, bool touches) {
  switch (verb) {
    case Verb::kSet:
      return SpaceTally::kSets;
    case Verb::kDelete:
      return SpaceTally::kDeletes;
    case Verb::kArithmetic:
      return SpaceTally::kArithmetic;
    case Verb::kGet:
    case Verb::kDebug:
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return touches ? SpaceTally::kTouches : SpaceTally::kGets;
}

SpaceTally space_tally_of(LifeRule by) {
  switch (by) {
    case LifeRule::kDefault:
      return SpaceTally::kByDefault;
    case LifeRule::kNone:
    case LifeRule::kCap:
      break;
    case LifeRule::kMaxAge:
      return SpaceTally::kByMaxAge;
    case LifeRule::kJitter:
      return SpaceTally::kByJitter;
    case LifeRule::kFailover:
      return SpaceTally::kByFailover;
  }
  return SpaceTally::kByCap;
}

}  // namespace

// The key of a request, or one of a get's, whose slot is already in its client's order.
void Engine::serve_key(ClientId id, const Request& request, std::uint32_t slot) noexcept {
  const std::string_view item_key = request.item_key;
  const Namespace* space =
      snapshot_->namespaces.find(who_ == nullptr ? item_key : own_key(item_key));
  if (space == nullptr) return fail(slot, WireError::kNoPool);
  Slot& s = slots_[slot];
  const bool has_owner = space->owner != 0;
  if ((has_owner || who_ != nullptr) && !may_use(request, s, *space))
    return deny(id, request, *space, item_key, slot);
  s.space = space->number;
  if (space->near.is_on() && near_.serve(request, *space, item_key, slot)) return;
  Plan plan{.node_key = request.key, .key_is_base64 = request.key_is_base64};
  const bool seals = space->seal.seals();
  const Target target =
      target_of(*space, seals || has_owner ? veil(s, request, *space, item_key, plan) : item_key);
  const Verb verb = request.verb();
  s.touches = verb == Verb::kGet && request.has_ttl;
  if (!s.refuses_value && verb != Verb::kDebug)  // As memcached counts.
    count_in_space(s.space, space_tally_of(verb, s.touches));
  const bool reads = verb == Verb::kGet && request.wants_value && !request.has_vivify;
  s.miss_on_failure = reads && target.pool->options.on_failure == OnFailure::kMiss;
  Link* link = &link_of(target.backend, id);
  const bool is_down = !link->takes_requests();
  if (is_down) {
    link->missed_writes |= s.writes();
    link->count(NodeTally::kRefused);
    const WireError why = link->too_old ? WireError::kNodeTooOld : WireError::kNodeDown;
    link = stand_in_for(target, request, id);
    if (link == nullptr) {
      const OnNodeDown rule = target.pool->options.on_node_down;
      if (rule == OnNodeDown::kMiss || rule == OnNodeDown::kError)
        s.miss_on_failure = reads && rule == OnNodeDown::kMiss;
      return fail(slot, why);
    }
    count(Counter::kFailedOver);
  }
  if (is_overloaded(*link)) {
    count(Counter::kRequestsRefused);
    return fail(slot, WireError::kBusy);
  }
  if (space->coalesce) {
    if (s.writes() || request.has_ttl || request.has_vivify) part_ways(item_key);
    if (!is_down && follow(*link, request, item_key, slot))
      return count_in_space(s.space, SpaceTally::kCoalesced);
  }
  plan.value_bytes = request.value.size();
  // Asked here and not there: most requests are gets, and need no call.
  const bool has_life = request.has_ttl || request.has_vivify || verb == Verb::kSet;
  const LifeRule by = has_life ? plan_life(request, target, is_down, plan) : LifeRule::kNone;
  if (by != LifeRule::kNone) {
    count(Counter::kTtlCapped);
    count_in_space(s.space, SpaceTally::kCapped);
    count_in_space(s.space, space_tally_of(by));
  }
  if (space->has_token_rules) return serve_token(*link, request, item_key, plan, slot);
  if (seals && changes_value(request))
    return begin_change(*link, *clients_.find(id), request, plan, slot);
  if (verb == Verb::kSet && request.store_mode < StoreMode::kAppend &&
      !follow_token(s, request, space->life, plan))
    return fail(slot, WireError::kNoTokenLife);
  if (is_text_get(request.command)) return send_get(*link, request, plan, slot);
  send(*link, request, plan, slot);
}

// How long the item may live: what was asked for within what its namespace grants, and less at a
// node that only stands in. Why it is less than asked, where it is.
LifeRule Engine::plan_life(const Request& request, const Target& target, bool stands_in,
                           Plan& plan) noexcept {
  const LifeRules& rules = target.space->life;
  const std::int64_t bound_s = stands_in ? target.pool->options.failover_ttl_s : 0;
  const bool has_rule = rules.any() || bound_s > 0;
  LifeRule by = LifeRule::kNone;
  const auto granted = [&](Expiry asked) {
    Expiry life = rules.any() ? granted_life(rules, asked, now_.unix_time, random(), &by) : asked;
    if (bound_s > 0 && life.remaining_s(now_.unix_time) > bound_s) {
      life = life.bounded_by(bound_s, now_.unix_time);
      by = LifeRule::kFailover;
    }
    return life;
  };
  const bool sets_life = request.has_ttl || (has_rule && request.verb() == Verb::kSet &&
                                             request.store_mode < StoreMode::kAppend);
  if (sets_life) {
    const Expiry life =
        granted(request.has_ttl ? Expiry::from_exptime(request.exptime) : Expiry::never());
    // A write without T already means never; a touch has to say so.
    if (!life.is_never() || request.verb() != Verb::kSet) plan.ttl = life;
  }
  if (request.has_vivify) plan.vivify = granted(Expiry::from_exptime(request.vivify_exptime));
  return by;
}

void Engine::send(Link& link, const Request& request, Plan& plan, std::uint32_t index) noexcept {
  if (is_text_get(request.command)) return send_get(link, request, plan, index);
  Slot& slot = slots_[index];
  part_from_earlier_reads(link, request);
  end_get_line(link);
  slot.plain_reply = request.verb() == Verb::kDebug || is_text_read(request.command);
  slot.context.matches_hide = request.command == Command::kMetaGet && request.has_cas;
  slot.context.cas = request.cas;
  // memcached hides the good outcome of a quiet ma, but shows it where N made the item. Only a look
  // just before can tell which it was.
  if (request.command == Command::kMetaArithmetic && request.quiet && request.has_vivify)
    send_probe(link, plan, index);
  plan.opaque = slot.opaque = link.next_opaque++ & 0xFF'FFFF;
  const bool veils = slot.sealing != kNoSlot;
  const bool seals = veils && sealings_[slot.sealing].seals && !sealings_[slot.sealing].sends_as_is;
  // What mg gives back for k is the item's key as it was made, which may be base64 where this
  // request is not, and the reverse. As bytes it is harmless unless these would end the line.
  // (Between a sealed value's flags they would be looked through.)
  plan.echo_key = !veils && request.command == Command::kMetaGet && request.wants_key &&
                  request.item_key.find('\n') == std::string_view::npos;
  link.unchecked = slot.plain_reply;

  const bool has_value = request.verb() == Verb::kSet;
  const bool moves = has_value && whole_input_ != nullptr && !seals;
  const std::string_view body = has_value && seals ? body_of(slot, request.value) : request.value;
  if (has_value && seals) {
    sealings_[slot.sealing].value_bytes = static_cast<std::uint32_t>(request.value.size());
    plan.value_bytes =
        sealed_size(body.size(), sealings_[slot.sealing].options.generation.has_value());
  }
  const std::size_t value_room = has_value && !moves ? plan.value_bytes + kCrLf.size() : 0;
  char* const to = link.out.prepare(pool_, encoded_size_max(request, plan) + value_room);
  char* end = encode_request(request, plan, to);
  if (has_value && seals) {
    end = write_sealed(slot, request.client_flags, body, end);
    if (end == nullptr) return fail(index, WireError::kCannotSeal);
  } else if (value_room > 0) {
    std::memcpy(end, request.value.data(), value_room);  // Its CR LF follows it in the input.
    end += value_room;
  }
  link.out.commit(static_cast<std::size_t>(end - to));
  if (moves) {
    Buffer value = std::move(*whole_input_);
    value.consume(static_cast<std::size_t>(request.value.data() - value.view().data()));
    link.out.append(std::move(value));
  }
  await(link, index);
  if (link.state == Link::State::kUp) mark_dirty(link);
}

// A key of a text get joins the get line at the end of the link's output, whichever client it is
// from.
void Engine::send_get(Link& link, const Request& request, const Plan& plan,
                      std::uint32_t index) noexcept {
  link.last_read = reads_;
  const bool joins = link.line_bytes > 0 && link.line_command == request.command &&
                     link.line_exptime == (plan.ttl ? plan.ttl->exptime() : 0) &&
                     link.line_bytes + plan.node_key.size() < kGetLineBytesMax;
  if (!joins) end_get_line(link);
  char* const to = link.out.prepare(pool_, encoded_size_max(request, plan));
  char* end = to;
  if (joins) {
    slots_[link.last_slot].last_of_line = false;
    *end++ = ' ';
    end = wire::write_bytes(end, plan.node_key);
  } else {
    end = encode_request(request, plan, to);
    link.line_command = request.command;
    link.line_exptime = plan.ttl ? plan.ttl->exptime() : 0;
  }
  const auto written = static_cast<std::size_t>(end - to);
  link.out.commit(written);
  link.line_bytes += written;
  link.line_slots = joins ? link.line_slots + 1 : 1;
  Slot& slot = slots_[index];
  slot.plain_reply = slot.in_get_line = slot.last_of_line = true;
  await(link, index);
  if (link.state == Link::State::kUp) mark_dirty(link);
}

// A memcached changes a number in place, padding it, only while no reply still refers to the item.
// What a client sent earlier on, or 20 requests ago, would have been written out to it by now, so
// it is here, too. A text get in front does the same by itself.
void Engine::part_from_earlier_reads(Link& link, const Request& request) noexcept {
  if (request.verb() == Verb::kArithmetic && link.last_read != reads_ && link.slots > 0 &&
      link.line_bytes == 0)
    close_batch(link);
  link.last_read = reads_;
}

void Engine::end_get_line(Link& link) noexcept {
  if (link.line_bytes == 0) return;
  link.out.append(pool_, kCrLf);
  link.line_bytes = 0;
  link.unchecked = true;
}

// Asks whether the item is there, without touching or holding it (memcached changes a number in
// place only while nobody holds it); the answer is for slot `index` alone.
void Engine::send_probe(Link& link, const Plan& plan, std::uint32_t index) noexcept {
  Request look;
  look.command = Command::kMetaDebug;
  const std::uint32_t probe = slots_.insert().index;
  Slot& slot = slots_[probe];
  slot.context.command = look.command;
  slot.informs = index;
  slot.plain_reply = true;
  char* const to = link.out.prepare(pool_, encoded_size_max(look, plan));
  link.out.commit(static_cast<std::size_t>(encode_request(look, plan, to) - to));
  await(link, probe);
}

}  // namespace tokenring
