// The near cache: values that this worker has read, given out again for a short time.
//
//   serve:    Engine::serve_key -> serve: a write: counted as under way until its slot ends
//                                         a read: kept and still good? -> show; else it is sent
//   deliver:  Engine::fill_shown -> learn: no write since it was sent? -> kept
//
// NearEpochs (policy/near.hpp) makes all workers see each other's writes.
#include "proxy/engine_near.hpp"

#include <algorithm>
#include <array>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.hpp"
#include "proxy/engine.hpp"
#include "wire/numbers.hpp"

namespace tokenring {

namespace {

// Of a second, the ticks.
constexpr std::size_t kSweeps = Engine::kSweepMs / Engine::kTickMs;

// Whether what is kept can answer a read: it knows the value, its size and the client's flags.
// How its key was spelled when the item was made, which a plain mg tells, only the node knows.
bool may_answer(const Request& request, const Namespace& space) {
  if (request.command == Command::kGet) return true;
  if (request.command != Command::kMetaGet) return false;
  const bool is_plain = !space.seal.seals() && space.owner == 0;
  if (is_plain && request.wants_key && request.key_is_base64) return false;
  constexpr std::string_view kKnown = "vfskqOb";
  std::string_view flags = request.flags;
  for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags))
    if (kKnown.find(flag[0]) == std::string_view::npos) return false;
  return true;
}

// Whether a request may change what a read is answered. A touch can end an item.
bool may_change(const Request& request) {
  switch (request.verb()) {
    case Verb::kSet:
    case Verb::kDelete:
    case Verb::kArithmetic:
      return true;
    case Verb::kGet:
      return request.has_ttl || request.has_vivify;
    case Verb::kDebug:
    case Verb::kLocal:
    case Verb::kRefused:
      break;
  }
  return false;
}

// The value of a reply and its client's flags; empty where it is none, or is stale or leased.
std::optional<NearCache::Value> value_in(const Slot& slot, const Reply& reply) {
  NearCache::Value value;
  value.value = reply.value;
  std::string_view rest = reply.rest;
  if (slot.context.command == Command::kGet) {
    if (reply.code != ReplyCode::kTextValue) return std::nullopt;
    if (!wire::parse_u32(next_word(rest), value.client_flags)) return std::nullopt;
    return value;
  }
  if (reply.code != ReplyCode::kValue) return std::nullopt;
  if (has_lease_flag(rest)) return std::nullopt;
  value.has_flags = wire::parse_u32(flag_value(rest, 'f'), value.client_flags);
  return value;
}

}  // namespace

void EngineNear::adopt() {
  caches_.clear();
  spaces_.clear();
  const auto left = std::exchange(epochs_, engine_.snapshot_->near_epochs);
  if (epochs_ != nullptr) make_caches();
  if (epochs_ == nullptr && left == nullptr) return;
  // What is under way was counted elsewhere, if at all, and by the namespaces of then.
  engine_.slots_.for_each([&](std::uint32_t, Slot& slot) {
    slot.near_reads = false;
    if (left == epochs_) return;
    slot.near_writes = false;
    if ((slot.writes() || slot.touches) && (slot.in_client || slot.in_link))
      begin_write_to_all(slot);
  });
  if (left == epochs_) return;
  if (left != nullptr) left->leave();
  if (epochs_ != nullptr) epochs_->join();
}

void EngineNear::make_caches() {
  const auto spaces = engine_.snapshot_->namespaces.all();
  spaces_.resize(spaces.size());
  std::vector<Space*> tellers;  // By cache.
  for (std::size_t i = 0; i < spaces.size(); ++i) {
    const Namespace& space = spaces[i];
    spaces_[i].seed =
        XXH3_64bits_withSeed(space.prefix.data(), space.prefix.size(), epochs_->seed());
    if (!space.near.is_on()) continue;
    caches_.resize(std::max<std::size_t>(caches_.size(), space.near.cache + std::size_t{1}));
    tellers.resize(caches_.size());
    std::unique_ptr<NearCache>& cache = caches_[space.near.cache];
    if (cache == nullptr) cache = std::make_unique<NearCache>(space.near.bytes);
    spaces_[i].cache = cache.get();
    Space*& teller = tellers[space.near.cache];
    if (teller == nullptr || space.owner == 0) teller = &spaces_[i];
  }
  for (Space* const teller : tellers)
    if (teller != nullptr) teller->tells = true;
}

std::uint64_t EngineNear::hash_of(const Slot& slot, std::string_view key) const noexcept {
  return XXH3_64bits_withSeed(key.data(), key.size(), spaces_[slot.space].seed);
}

// Keys of a group have one place, so that what ends the group ends them all.
std::uint16_t EngineNear::place_of(const Slot& slot, const Namespace& space, std::string_view key,
                                   std::uint64_t hash) const noexcept {
  if (space.tokens.revokes())
    hash = hash_of(slot, group_of(key, engine_.snapshot_->pools[space.pool]));
  return static_cast<std::uint16_t>(hash % NearEpochs::kPlaces);
}

// The time that goes on while the worker stands still.
Now EngineNear::shared_now() noexcept {
  if (engine_.lag_ns_ != lag_ns_) {
    lag_ns_ = engine_.lag_ns_;
    stood_still_ = engine_.now_.instant;
  }
  return {engine_.now_.unix_time, engine_.shared_now()};
}

bool EngineNear::serve(const Request& request, const Namespace& space, std::string_view key,
                       std::uint32_t index) noexcept {
  Slot& slot = engine_.slots_[index];
  if (epochs_ == nullptr) return false;
  if (may_change(request)) {
    begin_write(slot, space, key);
    return false;
  }
  if (request.verb() != Verb::kGet) return false;
  const std::uint64_t hash = hash_of(slot, key);
  slot.near_place = place_of(slot, space, key, hash);
  const NearEpochs::Seen seen = epochs_->read(slot.near_place);
  slot.near_epoch = seen.epoch;
  if (!may_answer(request, space)) return false;
  const Now now = shared_now();
  if (seen.is_settled) {
    const auto hit = spaces_[slot.space].cache->find({key, slot.space, hash}, seen.epoch, now);
    const bool needs_flags =
        request.dialect() == Dialect::kText || !find_flag(request.flags, 'f').empty();
    if (hit && (hit->has_flags || !needs_flags)) {
      show(*hit, request, index);
      return true;
    }
  }
  engine_.count_in_space(slot.space, SpaceTally::kNearMisses);
  slot.near_reads = seen.is_settled && request.wants_value;
  return false;
}

// Fills the slot as a node's reply would.
void EngineNear::show(const NearCache::Hit& hit, const Request& request,
                      std::uint32_t index) noexcept {
  Slot& slot = engine_.slots_[index];
  slot.sent = engine_.now_.instant;
  slot.turn = engine_.turn_;
  engine_.count_in_space(slot.space, SpaceTally::kGets);
  engine_.count_in_space(slot.space, SpaceTally::kNearHits);
  Reply shown{.code = ReplyCode::kTextValue, .line = hit.line, .value = hit.value};
  std::array<char, 2 * (1 + 20 + 1)> words;
  if (request.dialect() == Dialect::kMeta) {
    char* end = words.data();
    std::string_view flags = request.flags;
    for (std::string_view flag = next_word(flags); !flag.empty(); flag = next_word(flags)) {
      if (flag[0] != 'f' && flag[0] != 's') continue;
      if (end != words.data()) *end++ = ' ';
      *end++ = flag[0];
      end = wire::write_number(
          end, flag[0] == 'f' ? std::uint64_t{hit.client_flags} : std::uint64_t{hit.value.size()});
    }
    shown.code = request.wants_value ? ReplyCode::kValue : ReplyCode::kHeader;
    shown.line = request.wants_value ? "VA\r\n" : "HD\r\n";
    shown.rest = {words.data(), static_cast<std::size_t>(end - words.data())};
    if (!request.wants_value) shown.value = {};
  }
  // A write that follows belongs to the generation that was read, as after any other read.
  if (hit.generation != 0) {
    Marker marker;
    marker.state = Marker::State::kFound;
    marker.generation = hit.generation;
    engine_.keep_ticket(slot, &marker, {});
  }
  const bool filled = engine_.fill_shown(index, shown, nullptr);
  TR_ASSERT(filled);
}

void EngineNear::learn(std::uint32_t index, const Reply& shown) noexcept {
  Slot& slot = engine_.slots_[index];
  slot.near_reads = false;
  const NearEpochs::Seen seen = epochs_->read(slot.near_place);
  if (!seen.is_settled || seen.epoch != slot.near_epoch) return;
  const Now now = shared_now();
  if (slot.sent < stood_still_) return;  // Nobody knows how long ago that is.
  std::optional<NearCache::Value> value = value_in(slot, shown);
  if (!value) return;
  const Namespace& space = engine_.snapshot_->namespaces.all()[slot.space];
  value->epoch = seen.epoch;
  value->until = Instant{slot.sent.ns + lag_ns_}.plus_ms(space.near.ttl_ms);
  if (slot.sealing != kNoSlot) {
    const Sealing& sealing = engine_.sealings_[slot.sealing];
    value->exp = sealing.exp;
    if (sealing.marker != kNoSlot) value->generation = engine_.markers_[sealing.marker].generation;
  }
  const std::string_view key = engine_.identity_of(slot, 0).client_key;
  spaces_[slot.space].cache->keep({key, slot.space, hash_of(slot, key)}, *value, now);
}

void EngineNear::begin_write(Slot& slot, const Namespace& space, std::string_view key) noexcept {
  if (epochs_ == nullptr) return;
  slot.near_place = place_of(slot, space, key, hash_of(slot, key));
  slot.near_writes = true;
  epochs_->begin(slot.near_place);
}

void EngineNear::begin_write_to_all(Slot& slot) noexcept {
  if (epochs_ == nullptr) return;
  slot.near_place = NearEpochs::kAll;
  slot.near_writes = true;
  epochs_->begin(slot.near_place);
}

void EngineNear::sweep() noexcept {
  if (caches_.empty()) return;
  const Now now = shared_now();
  for (const auto& cache : caches_)
    if (cache != nullptr) cache->sweep(kSweeps, now);
}

void EngineNear::publish() noexcept {
  for (std::size_t i = 0; i < spaces_.size() && !engine_.space_tallies_.empty(); ++i)
    if (spaces_[i].cache != nullptr)
      engine_.space_tallies_[i]->set(SpaceTally::kNearBytes,
                                     spaces_[i].tells ? spaces_[i].cache->bytes() : 0);
}

}  // namespace tokenring
