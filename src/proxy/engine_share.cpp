// Gets that share one request upstream: those of a key that come while one for it is in flight.
//
//   follow: the slot joins its leader's followers, and no request is sent for it
//   fill_followers, fail_followers: they are answered as their leader is
//
// A write to the key that passes through here ends the leadership: what is asked after it must see
// it. Where writes through other proxies must be seen too, it ends when its request leaves. The
// table is a hint, one place per hash; what it names is compared before it is believed.
#include <functional>
#include <utility>

#include "base/assert.hpp"
#include "proxy/engine.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kLeadersMax = 1024;

std::size_t place_of(std::string_view key) {
  return std::hash<std::string_view>()(key) % kLeadersMax;
}

// Whether the reply is the same for whoever asks with the same flags, and asking changes nothing.
bool may_share(const Request& request) {
  if (request.command == Command::kGet || request.command == Command::kGets) return true;
  if (request.command != Command::kMetaGet || request.has_ttl || request.has_vivify) return false;
  return request.flags == "v" || request.flags == "f v" || request.flags == "v f";
}

// Whether what was acknowledged through any proxy has to be seen by a read that begins after it.
// Then none may share a request that has left.
bool promises_to_see_all(const TokenRules& rules) {
  return rules.revokes() || rules.fill_guard_s > 0;
}

}  // namespace

// False where the slot has to be sent; then it leads from now on, if it can be followed at all.
bool Engine::follow(Link& link, const Request& request, std::string_view item_key,
                    std::uint32_t index) noexcept {
  if (!may_share(request)) return false;
  if (leaders_.empty()) leaders_.assign(kLeadersMax, Leader());
  Leader& place = leaders_[place_of(item_key)];
  Slot& slot = slots_[index];
  if (place.slot != kNoSlot && slots_.has(place.slot)) {
    Slot& leader = slots_[place.slot];
    if (leader.leads && leader.link == id_of(link).index && leader.space == slot.space &&
        leader.context.key == slot.context.key && leader.context.command == request.command &&
        leader.context.flags == request.flags &&
        leader.context.key_is_base64 == request.key_is_base64 &&
        leader.near_epoch == slot.near_epoch &&
        (place.departures == departures_ || !promises_to_see_all(rules_of_tokens(slot)))) {
      slot.near_reads = false;  // It was not asked for when it came, but before.
      slot.sent = now_.instant;
      slot.turn = turn_;
      wait_for(index, place.slot);
      count(Counter::kCoalesced);
      return true;
    }
  }
  place = {index, departures_};
  slot.leads = true;
  slot.link = id_of(link).index;
  return false;
}

// The slot goes on with what slot `leader` is answered.
void Engine::wait_for(std::uint32_t index, std::uint32_t leader) noexcept {
  slots_[index].follows = true;
  slots_[index].next_follower = std::exchange(slots_[leader].first_follower, index);
}

// One of those that wait for the slot, and does so no longer; kNoSlot: there is none.
std::uint32_t Engine::take_follower(std::uint32_t leader) noexcept {
  const std::uint32_t index = slots_[leader].first_follower;
  if (index == kNoSlot) return index;
  slots_[leader].first_follower = slots_[index].next_follower;
  slots_[index].follows = false;
  return index;
}

// Before a write or a touch is sent: what comes after it may not share what was asked before it.
void Engine::part_ways(std::string_view item_key) noexcept {
  if (!leaders_.empty()) leaders_[place_of(item_key)] = {};
}

// Of a stale item only one reader is told to make it anew (W); the others are told that somebody
// does (Z).
bool Engine::fill_followers(std::uint32_t leader, const Reply& leading) noexcept {
  bool fits = true;
  Reply reply = leading;
  std::string marks;
  if (reply.code == ReplyCode::kValue && reply.rest.ends_with(" W")) {
    const bool stale = reply.rest.ends_with(" X W");
    marks = reply.rest.substr(0, reply.rest.size() - (stale ? 3 : 1));
    reply.rest = marks += stale ? "Z X" : "Z";
  }
  for (std::uint32_t index; (index = take_follower(leader)) != kNoSlot;) {
    if (!slots_[index].in_client) {
      release_if_unlisted(index);
      continue;
    }
    share_marker(leader, index);
    fits = fits && fill_if_wanted(index, reply, nullptr);
    if (!fits) fail(index, WireError::kNodeBadReply);
  }
  return fits;
}

void Engine::fail_followers(std::uint32_t leader, WireError error) noexcept {
  for (std::uint32_t index; (index = take_follower(leader)) != kNoSlot;) {
    if (slots_[index].in_client)
      fail(index, error);
    else
      release_if_unlisted(index);
  }
}

}  // namespace tokenring
