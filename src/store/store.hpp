// A bounded hash table of items. No clock, no randomness, one thread.
//
// One region of bytes_max holds everything: the bucket table and the ghost (about a twentieth,
// sized once so that nothing ever grows or rehashes at an awkward moment) and the arena with the
// items. Untouched pages of it cost nothing, so an empty store is small.
//
// Expired items are removed when they are met: by a look-up, by a short sweep whenever memory is
// short, or as a victim.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>

#include "store/arena.hpp"
#include "store/item.hpp"
#include "store/s3fifo.hpp"

namespace tokenring::store {

struct HashedKey {
  std::string_view key;  // 1 to 250 bytes.
  std::uint32_t hash;
};

struct StoreStats {
  std::uint64_t items = 0;
  std::uint64_t bytes = 0;         // What the items occupy, headers and slack included.
  std::uint64_t items_linked = 0;  // Since the start.
  std::uint64_t evictions = 0;
  std::uint64_t evicted_unfetched = 0;
  std::uint64_t reclaimed = 0;  // Expired items removed to make room.
  std::uint64_t expired_unfetched = 0;
  std::uint64_t expired_on_read = 0;
};

class Store {
 public:
  static constexpr std::size_t kBytesMin = std::size_t{64} << 10;
  static constexpr std::size_t kBytesMax = Arena::kBytesMax;

  // `bytes_max` is moved into the two limits above. `wipes`: values that go leave nothing behind.
  // Throws std::bad_alloc.
  Store(std::size_t bytes_max, std::uint64_t hash_seed, bool wipes = false);

  [[nodiscard]] HashedKey hashed(std::string_view key) const noexcept;
  // The live item of that key, or null. Removes it when it is expired.
  [[nodiscard]] Item* find(const HashedKey& key, std::uint32_t now) noexcept;
  // Whether an item of this size can be stored at all.
  [[nodiscard]] bool fits(std::size_t key_size, std::size_t value_size) const noexcept;

  // A new item, in no queue and not to be found before link(): its key, sizes and time are set, its
  // value is not. Evicts what it must but never `keep`. Null when it does not fit beside `keep`;
  // never null when fits() and `keep` is null.
  [[nodiscard]] Item* allocate(const HashedKey& key, std::size_t value_size, const Item* keep,
                               std::uint32_t now) noexcept;
  [[nodiscard]] Place place_for(const HashedKey& key) noexcept {
    return policy_.place_for(key.hash);
  }
  // REQUIRES: the key is not in the store.
  void link(Item& item, Place place) noexcept;
  // Removes and frees an item. Returns the place for what replaces it: a write counts as a hit.
  Place remove(Item& item) noexcept;
  void clear() noexcept;  // REQUIRES: it does not wipe.
  // Removes the expired items of the next `buckets` of the table.
  void remove_expired(std::size_t buckets, std::uint32_t now) noexcept {
    sweep(nullptr, now, buckets);
  }
  [[nodiscard]] std::size_t buckets() const noexcept { return buckets_.size(); }

  // Counts a read.
  static void hit(Item& item, std::uint32_t now) noexcept;

  [[nodiscard]] std::uint64_t next_cas() noexcept { return ++last_cas_; }
  [[nodiscard]] StoreStats stats() const noexcept;
  void reset_stats() noexcept { stats_ = {}; }
  [[nodiscard]] std::size_t bytes_max() const noexcept { return bytes_max_; }
  [[nodiscard]] std::size_t table_bytes() const noexcept { return buckets_.size_bytes(); }
  // Whether the arena, the table and the queues agree. Slow: for tests.
  [[nodiscard]] bool consistent() const noexcept;

 private:
  struct Free {
    void operator()(char* memory) const noexcept { std::free(memory); }
  };

  // In-order evictions before a hole is made by evicting neighbours.
  static constexpr int kInOrderEvictionsMax = 32;
  // Buckets looked at for expired items each time memory is short.
  static constexpr std::size_t kSweptBuckets = 4;

  [[nodiscard]] Ref make_room(std::uint32_t granules, const Item* keep, std::uint32_t now) noexcept;
  [[nodiscard]] Ref evict_around(Item& victim, std::uint32_t granules, const Item* keep,
                                 std::uint32_t now) noexcept;
  Ref evict(Item& item, std::uint32_t now) noexcept;
  void sweep(const Item* keep, std::uint32_t now, std::size_t buckets) noexcept;
  Ref unlink(Item& item) noexcept;
  [[nodiscard]] Ref& bucket_of(std::uint32_t hash) noexcept {
    return buckets_[static_cast<std::size_t>(hash * std::uint64_t{buckets_.size()} >> 32)];
  }

  std::size_t bytes_max_;
  std::uint64_t hash_seed_;
  bool wipes_;
  std::unique_ptr<char, Free> memory_;
  std::span<Ref> buckets_;
  Arena arena_;
  S3Fifo policy_;
  std::size_t sweep_cursor_ = 0;
  std::uint64_t last_cas_ = 0;
  StoreStats stats_;  // items and bytes are filled in by stats().
};

}  // namespace tokenring::store
