// Markers: whether the group of a key still has the generation that a value was sealed under.
//
//   read:   name_marker -> ask_marker, in the same write as the read -> learn_marker -> is_current
//   write:  the generation of a ticket, or ask_marker first; see engine_store.cpp
//   revoke: another marker, with a generation that nothing was sealed under
//
// A marker lies on the node of its group's keys and is asked for just before what it decides, so
// that its answer is there first. Where keys with one tag are spread over nodes it has a node of
// its own, and whichever answer comes first is held until the other is there.
#include <algorithm>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "seal/secret.hpp"

namespace tokenring {

namespace {

constexpr std::string_view kCrLf = "\r\n";
// A marker outlives what hangs on it by this much.
constexpr std::int64_t kMarkerSlackS = 60;

}  // namespace

std::string_view group_of(std::string_view key, const Pool& pool) noexcept {
  return hashed_part(key, pool.group_ends());
}

std::uint64_t Tickets::whose(ClientId client, std::uint16_t series, std::string_view key) noexcept {
  const std::uint64_t seed =
      (std::uint64_t{client.index} << 32 | client.generation) ^ std::uint64_t{series} << 48;
  return std::max<std::uint64_t>(1, XXH3_64bits_withSeed(key.data(), key.size(), seed));
}

// Whether the key is the group's own: its prefix, and the tag between its ends.
bool Engine::names_group(const Namespace& space, std::string_view key) const noexcept {
  const std::string_view tag = group_of(key, snapshot_->pools[space.pool]);
  if (tag.size() == key.size()) return true;  // A group of one.
  const std::size_t prefix_bytes = space.prefix.size() - space.mark_bytes;
  return tag.data() == key.data() + prefix_bytes + 1 && tag.size() + prefix_bytes + 2 == key.size();
}

// Gives the slot the marker of its key's group. `link` is that of the key's node.
void Engine::name_marker(Slot& slot, const Namespace& space, std::string_view key,
                         const Link& link) noexcept {
  Sealing& sealing = sealings_[slot.sealing];
  const Pool& pool = snapshot_->pools[space.pool];
  const std::string_view tag = group_of(key, pool);
  const bool is_alone = tag.size() == key.size();
  sealing.marker = markers_.insert().index;
  Marker& marker = markers_[sealing.marker];
  marker.users = 1;
  const BlindedKey name = snapshot_->keyring->blinder().blind_group(
      {.space = space.prefix, .key = key, .tag = is_alone ? std::string_view() : tag},
      pool.group_ends(), marker.name_text.data(), blinded_tags_.get());
  marker.name_size = name.size;
  const bool is_beside = !pool.ring.hash_tag().empty() || is_alone;
  const std::uint32_t backend = is_beside ? link.backend : target_of(space, name.route).backend;
  sealing.marker_link = id_of(is_beside ? link : link_of(backend, slot.client)).index;
}

// How long a marker is kept; empty: for ever, as what hangs on it may be.
std::optional<Expiry> Engine::marker_life(const Slot& slot) const noexcept {
  const LifeRules& life = snapshot_->namespaces.all()[slot.space].life;
  std::int64_t longest_s = INT64_MAX;
  for (const std::int64_t bound_s : {life.ttl_cap_s, life.max_age_s})
    if (bound_s > 0) longest_s = std::min(longest_s, bound_s);
  if (longest_s == INT64_MAX) return std::nullopt;
  return Expiry::in_seconds(longest_s + kMarkerSlackS, now_.unix_time);
}

// Sends the request for the slot's marker. `how` is how the marker's own line is to look, so that
// it can stand in one line with the key. `keeps` gives it its whole life again, as what hangs on it
// is given one. False where the marker's node is away: then the slot has failed.
bool Engine::ask_marker(std::uint32_t index, Command how, bool keeps) noexcept {
  const Sealing& asks = sealings_[slots_[index].sealing];
  Link& link = links_[asks.marker_link];
  if (!link.takes_requests()) {
    fail(index, WireError::kNodeDown);
    return false;
  }
  Marker& marker = markers_[asks.marker];
  Request look;
  look.command = is_text_get(how) && !keeps ? how : Command::kMetaGet;
  Plan plan{.node_key = marker.name()};
  if (look.command == Command::kMetaGet) plan.more_flags = " v c";
  if (keeps) plan.ttl = marker_life(slots_[index]);
  const std::uint32_t aside = add_aside(Sealing::Aside::kMarker, index, look.command);
  keep(slots_[aside], marker.name(), {});
  sealings_[slots_[aside].sealing].marker = asks.marker;
  sealings_[slots_[aside].sealing].marker_link = asks.marker_link;
  ++marker.users;
  marker.state = Marker::State::kAsked;
  marker.slot = aside;
  send(link, look, plan, aside);
  return true;
}

// A slot of ours for a request beside that of slot `index`.
std::uint32_t Engine::add_aside(Sealing::Aside kind, std::uint32_t index,
                                Command command) noexcept {
  const std::uint32_t aside = slots_.insert().index;
  Slot& slot = slots_[aside];
  slot.space = slots_[index].space;
  slot.client = slots_[index].client;
  slot.context.command = command;
  slot.sealing = sealings_.insert().index;
  sealings_[slot.sealing].aside = kind;
  sealings_[slot.sealing].sends_as_is = true;
  return aside;
}

// The node's answer to slot `index`, which asks for a marker.
bool Engine::learn_marker(std::uint32_t index, const Reply& reply) noexcept {
  Slot& slot = slots_[index];
  Marker& marker = markers_[sealings_[slot.sealing].marker];
  switch (reply.code) {
    case ReplyCode::kEnd:
    case ReplyCode::kMiss:
      marker.state = Marker::State::kAbsent;
      break;
    case ReplyCode::kTextValue:
    case ReplyCode::kValue:
      marker.cas = reply.code == ReplyCode::kValue ? cas_of(reply) : Cas();
      marker.state = read_marker(slot, reply.value, marker) ? Marker::State::kFound
                                                            : Marker::State::kUnreadable;
      break;
    default:
      if (!reply.is_error()) return false;
      fail(index, WireError::kNodeError);
      return true;
  }
  if (marker.slot == index) marker.slot = kNoSlot;
  for (std::uint32_t waiting; (waiting = take_follower(index)) != kNoSlot;) go_on(waiting);
  return true;
}

bool Engine::read_marker(const Slot& slot, std::string_view sealed, Marker& marker) noexcept {
  const SealRules* rules = rules_of(slot);
  if (sealed.size() != kMarkerBytes || rules == nullptr || !rules->seals()) return false;
  std::array<char, kMarkerBytes> plain;
  const OpenResult opened =
      sealer_->open({.space = {slot.space}, .client_key = marker.name(), .client_flags = 0}, sealed,
                    now_.unix_time, plain.data());
  if (!opened.opened()) {
    count_in_space(slot.space, SpaceTally::kMarkersUnread);
    tell_unopened(slot, opened.outcome);
    return false;
  }
  if (!opened.header.control || !opened.header.generation) return false;
  // What a node had before it came back may have been revoked where its keys were meanwhile.
  const Link& link = links_[sealings_[slot.sealing].marker_link];
  if (std::int64_t{opened.header.iat} <= link.readmitted_s) return false;
  marker.generation = *opened.header.generation;
  marker.written_s = opened.header.iat;
  marker.by_revocation = plain[0] == kMarkerRevoked;
  return true;
}

// Nothing came of the slot's revocation.
void Engine::keep_tickets(const Slot& slot) noexcept {
  const Sealing& sealing = sealings_[slot.sealing];
  Client& client = *clients_.find(slot.client);
  if (sealing.revokes && client.tickets == client.ticket_series)
    client.tickets = sealing.tickets_before;
}

// No answer will come to slot `index`, which asks for a marker; what waits for it has failed.
void Engine::lose_marker(std::uint32_t index) noexcept {
  Marker& marker = markers_[sealings_[slots_[index].sealing].marker];
  if (marker.slot != index) return;
  marker.slot = kNoSlot;
  marker.state = Marker::State::kFailed;
}

bool Engine::awaits_marker(const Sealing& sealing) noexcept {
  return sealing.marker != kNoSlot && markers_[sealing.marker].state == Marker::State::kAsked;
}

// Keeps the node's reply as it came.
void Engine::hold(std::uint32_t index, const Reply& reply) noexcept {
  Buffer& held = sealings_[slots_[index].sealing].held;
  const bool has_value = reply.code == ReplyCode::kTextValue || reply.code == ReplyCode::kValue;
  held = pool_.take(reply.line.size() + reply.value.size() + kCrLf.size());
  held.append(reply.line);
  if (!has_value) return;
  held.append(reply.value);
  held.append(kCrLf);
}

// What the slot waited for is there.
void Engine::go_on(std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  if (!slot.in_client || slot.filled) return release_if_unlisted(index);
  Buffer held = std::move(sealings_[slot.sealing].held);
  Reply reply;
  if (held.owns() && parse_reply(held.view(), held.size(), reply).kind != ParsedReply::Kind::kReply)
    return fail(index, WireError::kNodeBadReply);
  if (is_changing(slot)) {
    if (!step_change(index, reply)) fail(index, WireError::kNodeBadReply);
  } else if (!fill_if_wanted(index, reply, nullptr)) {
    fail(index, WireError::kNodeBadReply);
  }
}

// Whether a value that opened may still be read.
bool Engine::is_current(const Slot& slot, const EnvelopeHeader& header) noexcept {
  const TokenRules& rules = rules_of_tokens(slot);
  const Sealing& sealing = sealings_[slot.sealing];
  // What a node had before it came back may have been used up elsewhere.
  if (rules.one_time && std::int64_t{header.iat} <= links_[sealing.link.index].readmitted_s)
    return false;
  if (!rules.revokes()) return true;
  if (sealing.marker == kNoSlot) return false;  // A reload has just made the rule.
  const Marker& marker = markers_[sealing.marker];
  const bool is_found = marker.state == Marker::State::kFound;
  if (rules.revocation == Revocation::kGeneration)
    return is_found && header.generation == marker.generation;
  return is_found ? std::int64_t{header.iat} > marker.written_s
                  : marker.state == Marker::State::kAbsent;
}

// What the client has just learned of the generation, for the write that follows: it may be
// nothing.
void Engine::keep_ticket(const Slot& slot) noexcept {
  const Sealing& sealing = sealings_[slot.sealing];
  keep_ticket(slot, sealing.marker == kNoSlot ? nullptr : &markers_[sealing.marker],
              id_of(links_[sealing.marker_link]));
}

// `marker`: what is known of its group; null: nothing. `link`: by which it was asked for.
void Engine::keep_ticket(const Slot& slot, const Marker* marker, LinkId link) noexcept {
  if (rules_of_tokens(slot).revocation != Revocation::kGeneration) return;
  const Client* client = clients_.find(slot.client);
  if (client == nullptr) return;
  tickets_->keep(Tickets::whose(slot.client, client->tickets, identity_of(slot, 0).client_key),
                 marker, link, now_);
}

// A slot that was answered by another's reply hangs on the marker of that one, and may go on by its
// link.
void Engine::share_marker(std::uint32_t leader, std::uint32_t follower) noexcept {
  if (slots_[leader].sealing == kNoSlot || slots_[follower].sealing == kNoSlot) return;
  const Sealing& leading = sealings_[slots_[leader].sealing];
  const std::uint32_t marker = leading.marker;
  Sealing& sealing = sealings_[slots_[follower].sealing];
  sealing.link = leading.link;
  sealing.marker_link = leading.marker_link;
  if (marker == kNoSlot || sealing.marker != kNoSlot) return;
  sealing.marker = marker;
  ++markers_[marker].users;
}

void Engine::leave_marker(std::uint32_t index) noexcept {
  if (--markers_[index].users == 0) markers_.erase(index);
}

// Writes a marker of `kind` with a new generation to its node, by the slot's own request. Without
// `only_if`, whatever is there.
void Engine::write_marker(std::uint32_t index, char kind, StoreMode mode, Cas only_if) noexcept {
  Slot& slot = slots_[index];
  Sealing& sealing = sealings_[slot.sealing];
  Link& link = links_[sealing.marker_link];
  if (!link.takes_requests()) return fail(index, WireError::kNodeDown);
  Marker& marker = markers_[sealing.marker];
  std::array<unsigned char, sizeof marker.generation> drawn;
  if (!entropy().fill(drawn)) return fail(index, WireError::kCannotSeal);
  std::memcpy(&marker.generation, drawn.data(), drawn.size());
  Request write;
  write.store_mode = mode;
  write.has_cas = only_if.value != 0;
  write.cas = only_if;
  Plan plan{.node_key = marker.name(), .ttl = marker_life(slot)};
  send_control(link, index, write, plan, {.space = {slot.space}, .client_key = marker.name()},
               {&kind, 1}, marker.generation);
}

// A delete of the group's own key: all that its keys have is worthless when the node has the new
// marker, and not before the client is told so.
void Engine::revoke(std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  Sealing& sealing = sealings_[slot.sealing];
  Client& client = *clients_.find(slot.client);
  sealing.revokes = true;
  sealing.tickets_before = client.tickets;  // Good again if nothing comes of this.
  client.tickets = ++client.ticket_series;
  leaders_.clear();  // What is asked from now on must see it.
  write_marker(index, kMarkerRevoked, StoreMode::kSet, {});
}

}  // namespace tokenring
