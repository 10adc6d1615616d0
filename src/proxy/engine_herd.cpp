// One fetch for many: of all clients that miss a key, through any proxy, one is told so and fetches
// it; the others wait for what it brings, and miss when that takes too long.
//
//   read_leased: mg with N -> a value: answer -> W, the node's lease: a miss, go and fetch
//        ^                                     -> Z, somebody has it: wait_in_herd
//        +-- wake_herd, by and by -----------------+
//
// The node keeps the lease: mg N makes an empty item, and says W to the first who asks, Z to
// others. For text gets only; a meta client sees W and Z itself. Where misses are asked elsewhere,
// W asks, and what it stores takes the lease's place; whoever is in the same worker waits with it,
// and who has waited in vain asks for himself.
#include <algorithm>

#include "proxy/engine.hpp"

namespace tokenring {

namespace {

constexpr std::int64_t kFirstPauseMs = 10;
constexpr std::int64_t kPauseMaxMs = 80;

}  // namespace

bool Engine::is_leased(const Slot& slot) const noexcept {
  const Command command = slot.context.command;
  return rules_of_tokens(slot).herd_wait_ms > 0 &&
         (command == Command::kGet || command == Command::kGets || command == Command::kBget);
}

// The lease outlives the wait for it, so that nobody else fetches meanwhile.
void Engine::read_leased(Link& link, std::uint32_t index) noexcept {
  Request look;
  look.command = Command::kMetaGet;
  look.flags = "v f c N1";
  look.has_vivify = true;
  Plan plan = plan_again(slots_[index]);
  const std::int64_t wait_ms = rules_of_tokens(slots_[index]).herd_wait_ms;
  plan.vivify = Expiry::in_seconds(wait_ms / 1000 + 2, now_.unix_time);
  send(link, look, plan, index);
}

// A reply to a leased read as the text get would have had it; `rest` holds its words. What waits
// has none yet.
std::optional<Reply> Engine::as_text(std::uint32_t index, const Reply& reply,
                                     std::string& rest) noexcept {
  const Reply miss = miss_of(Command::kGet);
  if (reply.code != ReplyCode::kValue) return miss;
  const bool is_stub = reply.value.empty();
  if (is_stub && find_flag(reply.rest, 'Z') == "Z" && !fills_.is_under_way(index) &&
      wait_in_herd(index))
    return std::nullopt;
  if (is_stub || find_flag(reply.rest, 'W') == "W") return miss;
  // What is stale is good until somebody has fetched it anew, which nobody here will see.
  slots_[index].near_reads &= find_flag(reply.rest, 'X') != "X";
  rest.assign(flag_value(reply.rest, 'f')).append(" 0 ").append(flag_value(reply.rest, 'c'));
  Reply text = reply;
  text.code = ReplyCode::kTextValue;
  text.rest = rest;
  return text;
}

// False where it has waited long enough.
bool Engine::wait_in_herd(std::uint32_t index) noexcept {
  Slot& slot = slots_[index];
  Sealing& sealing = sealings_[slot.sealing];
  const TokenRules& rules = rules_of_tokens(slot);
  if (sealing.herd_until == Instant{}) {
    sealing.herd_until = now_.instant.plus_ms(rules.herd_wait_ms);
    sealing.herd_pause_ms = kFirstPauseMs;
    count_in_space(slot.space, SpaceTally::kHerdWaits);
  }
  if (now_.instant >= sealing.herd_until) return false;
  herd_.push_back({slots_.id_of(index), now_.instant.plus_ms(sealing.herd_pause_ms)});
  sealing.herd_pause_ms = std::min(kPauseMaxMs, sealing.herd_pause_ms * 2);
  return true;
}

// Those whose pause is over ask again.
void Engine::wake_herd() noexcept {
  std::vector<Waiting> due;
  std::erase_if(herd_, [&](const Waiting& waiting) {
    if (now_.instant < waiting.at) return false;
    due.push_back(waiting);
    return true;
  });
  for (const Waiting& waiting : due) {
    const Slot* slot = slots_.find(waiting.slot);
    if (slot == nullptr || !slot->in_client || slot->filled) continue;
    const std::uint32_t index = waiting.slot.index;
    Link* link = find_link(sealings_[slot->sealing].link);
    if (link == nullptr || !link->takes_requests() || link->retiring) {
      fail(index, WireError::kNodeLost);
      continue;
    }
    if (sealings_[slot->sealing].marker != kNoSlot && !ask_marker(index, Command::kMetaGet, false))
      continue;
    read_leased(*link, index);
  }
}

}  // namespace tokenring
