// deliver: from a node's reply to its place in its client's order.
//
//   deliver: check it against the head of the FIFO -> fill: render it -> drain what is now in turn
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "proxy/engine.hpp"

namespace tokenring {

namespace {

LatencyKind latency_kind_of(Verb verb) {
  switch (verb) {
    case Verb::kGet:
      return LatencyKind::kGet;
    case Verb::kSet:
      return LatencyKind::kSet;
    case Verb::kDelete:
      return LatencyKind::kDelete;
    case Verb::kArithmetic:
    case Verb::kDebug:
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return LatencyKind::kOther;
}

bool is_text(const Slot& slot) {
  return row_of(slot.context.command).dialect == Dialect::kText;
}

// Room for a small reply among the client's that wait for their turn; null where they are many. A
// slot's reply of its own would cost a buffer, and as many lines of the processor's cache.
char* prepare_aside(Client& client, BufferPool& pool, std::size_t room) {
  Buffer& aside = client.aside;
  if (aside.room() < room) {
    if (aside.size() + room > Client::kAsideBytesMax) return nullptr;
    const std::size_t grown = std::max(aside.size() * 2, Client::kAsideBytesFirst);
    aside.reserve(pool, std::max(room, std::min(grown, Client::kAsideBytesMax) - aside.size()));
  }
  return aside.space().data();
}

// `n` bytes were written at the slot's place.
void commit(Client& client, Slot& slot, Place place, std::size_t n) {
  if (place.out != nullptr) return place.out->commit(n);
  if (n == 0) return;
  slot.aside_from = static_cast<std::uint32_t>(client.aside.size());
  slot.aside_bytes = static_cast<std::uint32_t>(n);
  client.aside.commit(n);
  ++client.aside_slots;
}

void take_aside(Client& client, BufferPool& pool, const Slot& slot) {
  client.out.append(pool, client.aside.view().substr(slot.aside_from, slot.aside_bytes));
  if (--client.aside_slots == 0) client.aside.consume(client.aside.size());
}

}  // namespace

// False when the node is out of step: this reply is not the answer to what is at the FIFO's head.
bool Engine::deliver(Link& link, const Reply& reply, Buffer* whole) noexcept {
  if (link.state != Link::State::kUp) {
    if (!link.greeted) return false;
    if (link.flushing) {
      if (reply.code == ReplyCode::kOk) come_up(link);
      return reply.code == ReplyCode::kOk;
    }
    if (reply.code == ReplyCode::kVersion) read_version(link, reply);
    return reply.code == ReplyCode::kVersion;
  }
  if (link.first_slot == kNoSlot) return false;
  // The get line that is still open was not sent yet.
  if (link.line_bytes > 0 && link.slots <= link.line_slots) return false;
  const std::uint32_t index = link.first_slot;
  Slot& slot = slots_[index];
  // Error lines carry no opaque. One that was not asked for shows with the next reply.
  if (!reply.is_error() && !slot.plain_reply) {
    const bool bare_miss = link.bare_misses && reply.code == ReplyCode::kMiss && reply.rest.empty();
    if (!bare_miss && opaque_of(reply) != slot.opaque) return false;
  }
  const std::int64_t took_ns = now_.instant.ns - slot.sent.ns;
  response_ns_ += (took_ns - response_ns_) >> 5;
  link.response_ns += (took_ns - link.response_ns) >> 5;
  if (slot.in_get_line) return deliver_get(link, reply, whole);
  if (slot.gathers) return deliver_stats(link, reply);
  if (is_changing(slot)) return deliver_change(link, reply);
  if (slot.closes_batch) {
    if (reply.code != ReplyCode::kNoop) return false;
  } else if (slot.informs != kNoSlot) {
    // The slot it informs is the next in this FIFO, so it is still there.
    if (reply.code == ReplyCode::kMiss) slots_[slot.informs].context.quiet = false;
  } else if (!fill_if_wanted(index, reply, whole)) {
    return false;
  }
  pop_front(link);
  return true;
}

// A step of a change. A link that is to end serves it to its end.
bool Engine::deliver_change(Link& link, const Reply& reply) noexcept {
  const std::uint32_t index = link.first_slot;
  const bool wanted = slots_[index].in_client && !slots_[index].filled;
  const bool retires = std::exchange(link.retiring, false);
  pop_front(link);
  const bool fits = !wanted || step_change(index, reply);
  link.retiring = retires;
  if (!fits) fail(index, WireError::kNodeBadReply);
  if (fits && retires) end_if_retired(link);
  return fits;
}

// A text get line is answered by the VALUEs of those of its keys that are there, in the line's
// order, and one END. The key is the proof that a VALUE belongs here.
bool Engine::deliver_get(Link& link, const Reply& reply, Buffer* whole) noexcept {
  static constexpr Reply kMiss{.code = ReplyCode::kEnd, .line = "END\r\n"};
  const bool is_value = reply.code == ReplyCode::kTextValue;
  if (!is_value && reply.code != ReplyCode::kEnd && !reply.is_error()) return false;
  while (true) {
    const std::uint32_t index = link.first_slot;
    Slot& slot = slots_[index];
    const bool last = slot.last_of_line;
    if (is_value && !slot.answered && node_key_of(slot) == reply.key) {
      const bool is_small = reply.value.size() <= kMoveBytes;
      if (is_small && slot.passes_through() && !audit_.is_on())
        pass_through(index, reply);
      else if (!fill_if_wanted(index, reply, whole))
        return false;
      slot.answered = true;
      if (!last) pop_front(link);
      return true;
    }
    if (is_value && last) return false;  // Not a key of this line.
    if (!slot.answered && !fill_if_wanted(index, is_value ? kMiss : reply, nullptr)) return false;
    pop_front(link);
    if (last) return true;
  }
}

// What fill_if_wanted and render come to for a small VALUE that passes_through().
void Engine::pass_through(std::uint32_t index, const Reply& reply) noexcept {
  Slot& slot = slots_[index];
  slot.leads = false;
  count_reply(slot, reply);
  static_cast<void>(fill_by(index, [&](Client& client, Slot&, bool in_turn) {
    const std::string_view bytes(reply.line.data(), reply.line.size() + reply.value.size() + 2);
    constexpr std::string_view kEnd = "END\r\n";
    const Place place = place_for(client, slot, bytes.size() + kEnd.size(), in_turn, true);
    std::memcpy(place.to, bytes.data(), bytes.size());
    if (slot.context.ends_get) std::memcpy(place.to + bytes.size(), kEnd.data(), kEnd.size());
    commit(client, slot, place, bytes.size() + (slot.context.ends_get ? kEnd.size() : 0));
    return true;
  }));
}

// Fills the slot, and those that follow it, if clients still wait for them.
bool Engine::fill_if_wanted(std::uint32_t index, const Reply& reply, Buffer* whole) noexcept {
  Slot& slot = slots_[index];
  if (slot.sealing != kNoSlot && sealings_[slot.sealing].seals) return fill_sealed(index, reply);
  if (slot.first_follower != kNoSlot) {
    if (!fill_followers(index, reply)) return false;
    whole = nullptr;
  }
  slot.leads = false;
  if (!slot.in_client || slot.filled) return true;
  if (slot.sealing != kNoSlot && !reply.is_error())
    return fill_shown(index, put_key_back(slot, reply), whole);
  return fill_shown(index, reply, whole);
}

bool Engine::fill_shown(std::uint32_t index, const Reply& reply, Buffer* whole) noexcept {
  Slot& slot = slots_[index];
  if (slot.near_reads) near_.learn(index, reply);
  count_reply(slot, reply);
  const bool in_group = slot.group != Slot::Group::kNone;
  if (reply.is_error() && (in_group || (slot.miss_on_failure && is_text(slot)))) {
    fail(index, WireError::kNodeError);  // An error line cannot stand inside a text get.
    return true;
  }
  if (slot.group == Slot::Group::kFanOut) {
    const bool is_stats = slot.context.command == Command::kStats;
    if (reply.code != (is_stats ? ReplyCode::kReset : ReplyCode::kOk)) return false;
  }
  return fill(index, reply, whole);
}

// What was read at once and is answered at once is kept as one.
void Engine::time_reply(const Slot& slot, LatencyKind kind) noexcept {
  if (served_.empty() || served_.back().since != slot.sent || served_.back().kind != kind ||
      served_.back().space != slot.space)
    served_.push_back({slot.sent, slot.turn, slot.space, kind});
  ++served_.back().count;
}

void Engine::count_reply(const Slot& slot, const Reply& reply) noexcept {
  const Command command = slot.context.command;
  const Verb verb = is_text_get(command) ? Verb::kGet : row_of(command).verb;
  if (options_.latencies != nullptr) time_reply(slot, latency_kind_of(verb));
  if (verb != Verb::kGet) return;
  const bool hit = reply.code == ReplyCode::kTextValue || reply.code == ReplyCode::kValue ||
                   reply.code == ReplyCode::kHeader || reply.code == ReplyCode::kTouched;
  if (slot.touches) {
    count(hit ? Counter::kTouchHits : Counter::kTouchMisses);
    count_in_space(slot.space, hit ? SpaceTally::kTouchHits : SpaceTally::kTouchMisses);
    return;
  }
  count(hit ? Counter::kGetHits : Counter::kGetMisses);
  count_in_space(slot.space, hit ? SpaceTally::kHits : SpaceTally::kMisses);
}

// Renders the reply into the client's output where it is its turn, else beside its slot. False when
// the reply does not fit its request; nothing has changed then.
bool Engine::put(std::uint32_t index, const Reply& reply, Buffer* whole) noexcept {
  return fill_by(index, [&](Client& client, Slot& slot, bool in_turn) {
    return render(client, slot, reply, whole, in_turn);
  });
}

void Engine::fill_with(std::uint32_t index, std::string_view text) noexcept {
  static_cast<void>(fill_by(index, [&](Client& client, Slot& slot, bool in_turn) {
    (in_turn ? client.out : beside(slot).reply).append(pool_, text);
    return true;
  }));
}

bool Engine::fill_by(std::uint32_t index, auto&& write) noexcept {
  Slot& slot = slots_[index];
  TR_ASSERT(slot.in_client && !slot.filled);
  const ClientId id = slot.client;
  Client& client = *clients_.find(id);
  const bool in_turn = client.first_slot == index;
  const std::size_t before = client.out.size();
  if (in_turn) begin_front(client);
  if (!write(client, slot, in_turn)) return false;
  slot.filled = true;
  if (is_changing(slot)) --client.changes;
  std::size_t written = in_turn ? client.out.size() - before : slot.aside_bytes;
  if (!in_turn && slot.beside != kNoSlot) written += besides_[slot.beside].reply.size();
  const auto bytes = static_cast<std::uint32_t>(std::min<std::size_t>(written + 1, UINT32_MAX / 2));
  client.reply_bytes = std::max(bytes, client.reply_bytes - client.reply_bytes / 8);
  if (client.window < snapshot_->limits.requests_per_client_max) ++client.window;
  if (in_turn) {
    finish_front(client, before);
    drain(client);
  }
  if (!client.out.empty() || client.closing) mark_dirty(client, id);
  if (client.stalled) queue_resume(client, id);
  return true;
}

// Where `room` bytes of a slot's reply go: into the output in its turn, else aside where they are
// few, else beside the slot.
inline Place Engine::place_for(Client& client, Slot& slot, std::size_t room, bool in_turn,
                               bool is_small) noexcept {
  char* const aside = in_turn || !is_small ? nullptr : prepare_aside(client, pool_, room);
  if (aside != nullptr) return {.to = aside};
  OutQueue& out = in_turn ? client.out : beside(slot).reply;
  return {.out = &out, .to = out.prepare(pool_, room)};
}

inline bool Engine::render(Client& client, Slot& slot, const Reply& reply, Buffer* whole,
                           bool in_turn) noexcept {
  if (slot.swallows_reply) return true;
  const bool moves = whole != nullptr && reply.value.size() > kMoveBytes;
  const std::size_t value_room = moves ? 0 : reply.value.size() + 16;
  const std::size_t room = rendered_size_max(slot.context, reply) + value_room;
  const Place place = place_for(client, slot, room, in_turn, !moves);
  const Rendered rendered = render_reply(slot.context, reply, place.to);
  char* end = rendered.end;
  if (slot.refuses_value && rendered.kind == Rendered::Kind::kWritten && !reply.is_error())
    end = std::ranges::copy(line_of(WireError::kTooLarge), place.to).out;
  switch (rendered.kind) {
    case Rendered::Kind::kMismatch:
      return false;
    case Rendered::Kind::kNothing:
      return true;
    case Rendered::Kind::kWritten:
      commit(client, slot, place, static_cast<std::size_t>(end - place.to));
      return true;
    case Rendered::Kind::kValue:
    case Rendered::Kind::kVerbatim:
      break;
  }
  // The node's CR LF serves the client too.
  std::string_view rest(reply.value.data(), reply.value.size() + 2);
  if (rendered.kind == Rendered::Kind::kVerbatim)
    rest = {reply.line.data(), reply.line.size() + rest.size()};
  if (moves) {
    place.out->commit(static_cast<std::size_t>(end - place.to));
    Buffer value = std::move(*whole);
    value.consume(static_cast<std::size_t>(rest.data() - value.view().data()));
    place.out->append(std::move(value));
    if (!rendered.tail.empty()) place.out->append(pool_, rendered.tail);
    return true;
  }
  std::memcpy(end, rest.data(), rest.size());
  end += rest.size();
  if (!rendered.tail.empty()) {
    std::memcpy(end, rendered.tail.data(), rendered.tail.size());
    end += rendered.tail.size();
  }
  commit(client, slot, place, static_cast<std::size_t>(end - place.to));
  return true;
}

// Fills the slot with what a failure means to its client: a miss, a group's failure, or the error.
void Engine::fail(std::uint32_t index, WireError error) noexcept {
  Slot& slot = slots_[index];
  slot.leads = false;
  if (slot.sealing != kNoSlot && sealings_[slot.sealing].aside == Sealing::Aside::kMarker)
    lose_marker(index);
  if (slot.first_follower != kNoSlot) fail_followers(index, error);
  if (slot.gathers) return part_of_gather_done(std::exchange(beside(slot).gather, {}), false);
  if (slot.informs != kNoSlot || !slot.in_client || slot.filled) return;
  if (slot.sealing != kNoSlot) fail_sealed(slot);
  if (!line_of(error).starts_with("CLIENT_ERROR")) {
    count(Counter::kRequestsFailed);
    count_in_space(slot.space, SpaceTally::kFailures);
  }
  if (audit_.is_on()) audit_.tell_failure(slot, error);
  if (slot.miss_on_failure) return fill_with_miss(index);
  fill_with_error(index, error);
}

void Engine::fill_with_miss(std::uint32_t index) noexcept {
  const bool filled = put(index, miss_of(slots_[index].context.command), nullptr);
  TR_ASSERT(filled);
}

void Engine::fill_with_error(std::uint32_t index, WireError error) noexcept {
  Slot& slot = slots_[index];
  if (slot.group != Slot::Group::kNone) {
    slot.failed = true;
    slot.error = slot.group == Slot::Group::kFanOut ? WireError::kFanOutFailed : error;
    slot.swallows_reply = true;
  }
  const bool filled =
      put(index, Reply{.code = ReplyCode::kServerError, .line = line_of(error)}, nullptr);
  TR_ASSERT(filled);
}

// An answer of our own, in its turn.
void Engine::answer(Client& client, ClientId id, std::string_view text) noexcept {
  if (client.first_slot == kNoSlot) {
    client.out.append(pool_, text);
  } else {
    Request none;
    Slot& slot = slots_[reserve(client, id, none, {})];
    beside(slot).reply.append(pool_, text);
    slot.filled = true;
  }
  mark_dirty(client, id);
}

// Before the front slot's bytes go into the output.
void Engine::begin_front(Client& client) noexcept {
  const Slot& slot = slots_[client.first_slot];
  if (slot.first_of_group) client.hold_from = client.out.size();
}

// After they did; `before` is the output's size without them.
inline void Engine::finish_front(Client& client, std::size_t before) noexcept {
  const Slot& slot = slots_[client.first_slot];
  if (slot.group != Slot::Group::kNone) finish_group(client, slot, before);
  pop_front(client);
}

void Engine::finish_group(Client& client, const Slot& slot, std::size_t before) noexcept {
  if (slot.failed && !client.group_error) client.group_error = slot.error;
  // What a group holds back is bounded; beyond that its hits go out, and an error ends them.
  const std::size_t bound = snapshot_->limits.output_bytes_per_client_max / 2;
  if (client.hold_from != Client::kNoHold && client.out.size() - client.hold_from > bound)
    client.hold_from = Client::kNoHold;
  if (!slot.last_of_group) return;
  if (client.group_error) {
    client.out.truncate(std::min(before, client.hold_from));
    if (!slot.context.quiet) client.out.append(pool_, line_of(*client.group_error));
  } else if (slot.group == Slot::Group::kFanOut && !slot.context.quiet) {
    const bool is_stats = slot.context.command == Command::kStats;
    client.out.append(pool_, is_stats ? "RESET\r\n" : "OK\r\n");
  }
  client.group_error.reset();
  client.hold_from = Client::kNoHold;
}

// Moves the replies that are now in turn into the output.
void Engine::drain(Client& client) noexcept {
  while (client.first_slot != kNoSlot && slots_[client.first_slot].filled) {
    Slot& slot = slots_[client.first_slot];
    begin_front(client);
    const std::size_t before = client.out.size();
    if (slot.aside_bytes > 0)
      take_aside(client, pool_, slot);
    else if (slot.beside != kNoSlot)
      client.out.append(pool_, std::move(besides_[slot.beside].reply));
    finish_front(client, before);
  }
}

}  // namespace tokenring
