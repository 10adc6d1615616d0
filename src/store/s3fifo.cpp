#include "store/s3fifo.hpp"

#include <algorithm>
#include <limits>

#include "base/assert.hpp"

namespace tokenring::store {

Ghost::Ghost(std::span<std::uint32_t> entries) noexcept
    : entries_(entries), per_tick_(std::max<std::size_t>(1, entries.size() / kTicksPerTurn)) {
  TR_ASSERT(!entries.empty() && entries.size() % kWays == 0);
}

std::span<std::uint32_t> Ghost::ways_of(std::uint32_t hash) noexcept {
  const std::uint64_t sets = entries_.size() / kWays;
  return entries_.subspan(static_cast<std::size_t>(hash * sets >> 32) * kWays, kWays);
}

std::uint16_t Ghost::age_of(std::uint32_t entry) const noexcept {
  return static_cast<std::uint16_t>(remembered_ / per_tick_ - entry);
}

void Ghost::remember(std::uint32_t hash) noexcept {
  const auto ways = ways_of(hash);
  ++remembered_;
  // An empty entry is the best to overwrite, else the oldest.
  auto& entry = *std::max_element(ways.begin(), ways.end(), [this](auto a, auto b) {
    const auto rank = [this](std::uint32_t e) { return e == 0 ? 1 << 16 : int{age_of(e)}; };
    return rank(a) < rank(b);
  });
  entry = hash << 16 | static_cast<std::uint16_t>(remembered_ / per_tick_);
}

bool Ghost::recall(std::uint32_t hash, std::size_t window) noexcept {
  for (std::uint32_t& entry : ways_of(hash)) {
    if (entry == 0 || entry >> 16 != (hash & 0xffff)) continue;
    const bool recent = age_of(entry) <= window / per_tick_;
    entry = 0;
    return recent;
  }
  return false;
}

void Ghost::clear() noexcept {
  std::fill(entries_.begin(), entries_.end(), 0);
  remembered_ = 0;
}

S3Fifo::S3Fifo(const Arena& arena, std::span<std::uint32_t> ghost_memory) noexcept
    : arena_(arena), ghost_(ghost_memory) {}

Place S3Fifo::place_for(std::uint32_t hash) noexcept {
  return {.in_main = ghost_.recall(hash, main_.items), .frequency = 0};
}

void S3Fifo::enter(Item& item, Place place) noexcept {
  item.in_main = place.in_main;
  item.frequency = std::min(place.frequency, kFrequencyMax) & kFrequencyMax;
  Queue& queue = queue_of(item);
  const Ref ref = arena_.ref_of(&item);
  item.newer = 0;
  item.older = queue.newest;
  (queue.newest == 0 ? queue.oldest : item_at(arena_, queue.newest).newer) = ref;
  queue.newest = ref;
  ++queue.items;
  queue.granules += item.block.size;
}

void S3Fifo::leave(Item& item) noexcept {
  Queue& queue = queue_of(item);
  (item.newer == 0 ? queue.newest : item_at(arena_, item.newer).older) = item.older;
  (item.older == 0 ? queue.oldest : item_at(arena_, item.older).newer) = item.newer;
  --queue.items;
  queue.granules -= item.block.size;
}

void S3Fifo::move_to_main(Item& item) noexcept {
  const std::uint8_t frequency = item.in_main && item.frequency > 0 ? item.frequency - 1 : 0;
  leave(item);
  enter(item, {.in_main = true, .frequency = frequency});
}

Item* S3Fifo::victim(const Item* keep) noexcept {
  if (items() == (keep == nullptr ? 0 : 1)) return nullptr;
  for (int passed_over = 0;;) {
    const std::size_t kept_in_main = keep != nullptr && keep->in_main ? 1 : 0;
    const bool small_is_due =
        small_.granules > arena_.granules_total() / 10 || main_.items == kept_in_main;
    Item& oldest = item_at(arena_, small_is_due ? small_.oldest : main_.oldest);
    if (&oldest == keep) {
      // There is another item, and once this one is the newest in main that comes up first.
      move_to_main(oldest);
      continue;
    }
    const bool spared = small_is_due ? oldest.frequency >= kPromoteAt : oldest.frequency > 0;
    if (!spared || passed_over == kPassedOverMax) return &oldest;
    ++passed_over;
    move_to_main(oldest);
  }
}

void S3Fifo::evicting(const Item& item) noexcept {
  if (!item.in_main) ghost_.remember(item.hash);
}

void S3Fifo::clear() noexcept {
  small_ = {};
  main_ = {};
  ghost_.clear();
}

}  // namespace tokenring::store
