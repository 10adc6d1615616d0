#include "store/store.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>  // With explicit_bzero.
#include <new>

#include "base/assert.hpp"

namespace tokenring::store {

namespace {

// How the region is shared out, in bytes of region for each bucket and each ghost entry. A token of
// some 200 bytes with its key and header makes a load of about one half.
constexpr std::size_t kBytesPerBucket = 128;
constexpr std::size_t kBytesPerGhostEntry = 256;

struct Layout {
  std::size_t buckets;
  std::size_t ghost_entries;
  [[nodiscard]] std::size_t table_bytes() const noexcept {
    const std::size_t bytes = (buckets + ghost_entries) * sizeof(std::uint32_t);
    return (bytes + Arena::kGranuleBytes - 1) / Arena::kGranuleBytes * Arena::kGranuleBytes;
  }
};

Layout layout_of(std::size_t bytes_max) noexcept {
  const std::size_t ghost = bytes_max / kBytesPerGhostEntry;
  return {.buckets = bytes_max / kBytesPerBucket, .ghost_entries = ghost - ghost % Ghost::kWays};
}

// calloc: the kernel's zero pages stay untouched until they are used.
char* new_region(std::size_t bytes) {
  void* memory = std::calloc(1, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<char*>(memory);
}

std::size_t limited(std::size_t bytes_max) noexcept {
  return std::clamp(bytes_max, Store::kBytesMin, Store::kBytesMax);
}

}  // namespace

Store::Store(std::size_t bytes_max, std::uint64_t hash_seed, bool wipes)
    : bytes_max_(limited(bytes_max)),
      hash_seed_(hash_seed),
      wipes_(wipes),
      memory_(new_region(bytes_max_)),
      buckets_(reinterpret_cast<Ref*>(memory_.get()), layout_of(bytes_max_).buckets),
      arena_(memory_.get() + layout_of(bytes_max_).table_bytes(),
             bytes_max_ - layout_of(bytes_max_).table_bytes()),
      policy_(arena_, {reinterpret_cast<std::uint32_t*>(memory_.get()) + buckets_.size(),
                       layout_of(bytes_max_).ghost_entries}) {}

HashedKey Store::hashed(std::string_view key) const noexcept {
  const std::uint64_t hash = XXH3_64bits_withSeed(key.data(), key.size(), hash_seed_);
  return {key, static_cast<std::uint32_t>(hash >> 32)};
}

Item* Store::find(const HashedKey& key, std::uint32_t now) noexcept {
  for (Ref ref = bucket_of(key.hash); ref != 0;) {
    Item& item = item_at(arena_, ref);
    if (item.hash == key.hash && item.key() == key.key) {
      if (!item.expired(now)) return &item;
      ++stats_.expired_on_read;
      unlink(item);
      return nullptr;
    }
    ref = item.hash_next;
  }
  return nullptr;
}

bool Store::fits(std::size_t key_size, std::size_t value_size) const noexcept {
  return value_size < Arena::kBytesMax &&
         granules_of_item(key_size, value_size) <= arena_.granules_total();
}

Item* Store::allocate(const HashedKey& key, std::size_t value_size, const Item* keep,
                      std::uint32_t now) noexcept {
  TR_ASSERT(!key.key.empty() && key.key.size() <= 250);
  if (!fits(key.key.size(), value_size)) return nullptr;
  const std::uint32_t granules = granules_of_item(key.key.size(), value_size);
  Ref ref = arena_.allocate(granules);
  if (ref == 0) ref = make_room(granules, keep, now);
  if (ref == 0) return nullptr;
  Item& item = item_at(arena_, ref);
  // All but the tag, which is the arena's.
  std::memset(reinterpret_cast<char*>(&item) + sizeof(Block), 0,
              Item::kHeaderBytes - sizeof(Block));
  item.hash = key.hash;
  item.last_access = now;
  item.value_size = static_cast<std::uint32_t>(value_size);
  item.key_size = static_cast<std::uint8_t>(key.key.size());
  std::memcpy(item.key_bytes(), key.key.data(), key.key.size());
  return &item;
}

Ref Store::make_room(std::uint32_t granules, const Item* keep, std::uint32_t now) noexcept {
  sweep(keep, now, kSweptBuckets);
  Ref ref = arena_.allocate(granules);
  for (int i = 0; ref == 0 && i < kInOrderEvictionsMax; ++i) {
    Item* victim = policy_.victim(keep);
    if (victim == nullptr) return 0;
    evict(*victim, now);
    ref = arena_.allocate(granules);
  }
  // The memory is there but in holes that are too small: make one of the right size. It can fail at
  // most until everything but `keep` is gone.
  while (ref == 0) {
    Item* victim = policy_.victim(keep);
    if (victim == nullptr) return 0;
    ref = evict_around(*victim, granules, keep, now);
  }
  return ref;
}

// Evicts `victim` and the items beside it, younger addresses first, until the hole is large enough.
Ref Store::evict_around(Item& victim, std::uint32_t granules, const Item* keep,
                        std::uint32_t now) noexcept {
  Ref hole = evict(victim, now);
  while (arena_.block(hole).size < granules) {
    // A neighbour of a free piece is never free.
    Ref neighbour = arena_.following(hole);
    if (neighbour == 0 || &item_at(arena_, neighbour) == keep) neighbour = arena_.preceding(hole);
    if (neighbour == 0 || &item_at(arena_, neighbour) == keep) return 0;
    hole = evict(item_at(arena_, neighbour), now);
  }
  return arena_.allocate(granules);
}

Ref Store::evict(Item& item, std::uint32_t now) noexcept {
  const bool expired = item.expired(now);
  ++(expired ? stats_.reclaimed : stats_.evictions);
  if (!item.fetched) ++(expired ? stats_.expired_unfetched : stats_.evicted_unfetched);
  if (!expired) policy_.evicting(item);
  return unlink(item);
}

void Store::sweep(const Item* keep, std::uint32_t now, std::size_t buckets) noexcept {
  for (std::size_t i = 0; i < buckets; ++i) {
    sweep_cursor_ = sweep_cursor_ + 1 < buckets_.size() ? sweep_cursor_ + 1 : 0;
    for (Ref ref = buckets_[sweep_cursor_]; ref != 0;) {
      Item& item = item_at(arena_, ref);
      ref = item.hash_next;
      if (item.expired(now) && &item != keep) evict(item, now);
    }
  }
}

void Store::link(Item& item, Place place) noexcept {
  Ref& bucket = bucket_of(item.hash);
  item.hash_next = bucket;
  bucket = arena_.ref_of(&item);
  policy_.enter(item, place);
  ++stats_.items_linked;
}

Place Store::remove(Item& item) noexcept {
  S3Fifo::hit(item);
  const Place place{.in_main = item.in_main, .frequency = item.frequency};
  unlink(item);
  return place;
}

Ref Store::unlink(Item& item) noexcept {
  const Ref ref = arena_.ref_of(&item);
  Ref* link = &bucket_of(item.hash);
  while (*link != ref) link = &item_at(arena_, *link).hash_next;
  *link = item.hash_next;
  policy_.leave(item);
  if (wipes_) ::explicit_bzero(item.value_bytes().data(), item.value_size);
  return arena_.release(ref);
}

void Store::clear() noexcept {
  TR_ASSERT(!wipes_);
  std::fill(buckets_.begin(), buckets_.end(), 0);
  policy_.clear();
  arena_.reset();
}

void Store::hit(Item& item, std::uint32_t now) noexcept {
  S3Fifo::hit(item);
  item.fetched = true;
  item.last_access = now;
}

StoreStats Store::stats() const noexcept {
  StoreStats stats = stats_;
  stats.items = policy_.items();
  stats.bytes = std::uint64_t{arena_.granules_used()} * Arena::kGranuleBytes;
  return stats;
}

bool Store::consistent() const noexcept {
  std::size_t found = 0;
  std::uint64_t granules = 0;
  for (const Ref bucket : buckets_) {
    for (Ref ref = bucket; ref != 0; ref = item_at(arena_, ref).hash_next, ++found) {
      if (found > policy_.items() || arena_.block(ref).is_free == 1) return false;
      granules += arena_.block(ref).size;
    }
  }
  return arena_.consistent() && found == policy_.items() && granules == arena_.granules_used();
}

}  // namespace tokenring::store
