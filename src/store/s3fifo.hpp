// S3-FIFO: which item leaves when the store is full.
//
// Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023). A new item enters the
// small queue, a tenth of the memory. One that is hit twice there moves on to the main queue; the
// others, most of a skewed load's one-hit wonders, leave early and only their fingerprints stay, in
// the ghost. An item that comes back while the ghost remembers it enters main directly. Main gives
// an item one more round for each hit. A hit only counts, it moves nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "store/item.hpp"

namespace tokenring::store {

// Fingerprints of items that left the small queue, as many as main has items or as fit the memory.
class Ghost {
 public:
  // `entries` is zeroed memory, borrowed. REQUIRES: entries.size() is a multiple of kWays, not 0.
  explicit Ghost(std::span<std::uint32_t> entries) noexcept;

  void remember(std::uint32_t hash) noexcept;
  // Whether `hash` is among the latest `window` remembered; forgets it.
  [[nodiscard]] bool recall(std::uint32_t hash, std::size_t window) noexcept;
  void clear() noexcept;

  static constexpr std::size_t kWays = 4;

 private:
  // An entry is a 16-bit fingerprint over a 16-bit stamp, the tick at which it was remembered. A
  // tick is kTicksPerTurn-th part of the ghost's capacity: entries are overwritten long before the
  // stamps wrap.
  static constexpr std::size_t kTicksPerTurn = 4096;

  [[nodiscard]] std::span<std::uint32_t> ways_of(std::uint32_t hash) noexcept;
  [[nodiscard]] std::uint16_t age_of(std::uint32_t entry) const noexcept;

  std::span<std::uint32_t> entries_;
  std::size_t per_tick_;
  std::size_t remembered_ = 0;
};

// Where an item stands with the policy: kept over a replacement of its value.
struct Place {
  bool in_main = false;
  std::uint8_t frequency = 0;
};

class S3Fifo {
 public:
  static constexpr std::uint8_t kFrequencyMax = 3;
  // Hits in the small queue that an item needs to move on to main.
  static constexpr std::uint8_t kPromoteAt = 2;
  // How many items one search for a victim may pass over before it takes the next one as it is.
  static constexpr int kPassedOverMax = 128;

  S3Fifo(const Arena& arena, std::span<std::uint32_t> ghost_memory) noexcept;

  // The place of an item that is not in the store.
  [[nodiscard]] Place place_for(std::uint32_t hash) noexcept;
  void enter(Item& item, Place place) noexcept;
  void leave(Item& item) noexcept;
  static void hit(Item& item) noexcept {
    if (item.frequency < kFrequencyMax) ++item.frequency;
  }
  // The item to evict next, never `keep`; null when there is no other. It is still in its queue.
  [[nodiscard]] Item* victim(const Item* keep) noexcept;
  // To be told of every eviction, before leave().
  void evicting(const Item& item) noexcept;
  void clear() noexcept;

  [[nodiscard]] std::size_t items() const noexcept { return small_.items + main_.items; }

 private:
  struct Queue {
    Ref newest = 0;
    Ref oldest = 0;
    std::size_t items = 0;
    std::uint64_t granules = 0;
  };

  [[nodiscard]] Queue& queue_of(const Item& item) noexcept { return item.in_main ? main_ : small_; }
  void move_to_main(Item& item) noexcept;

  const Arena& arena_;
  Queue small_;
  Queue main_;
  Ghost ghost_;
};

}  // namespace tokenring::store
