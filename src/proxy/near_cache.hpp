// NearCache: one worker's copies of values that nodes hold.
//
// The memory, the table and the choice of what leaves are the embedded node's (see
// store/store.hpp); an entry is an item whose name is the hash of its key. What goes is wiped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "store/store.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

class NearCache {
 public:
  // Of the cache, the largest entry.
  static constexpr std::size_t kEntryShare = 16;

  // `bytes` is moved into what a store may have. Throws std::bad_alloc.
  explicit NearCache(std::size_t bytes) : store_(bytes, 0, true) {}
  ~NearCache() { store_.remove_expired(store_.buckets(), UINT32_MAX); }
  NearCache(const NearCache&) = delete;
  NearCache& operator=(const NearCache&) = delete;

  struct Key {
    std::string_view key;     // As the client knows it.
    std::uint16_t space = 0;  // Keys of several may have one name.
    std::uint64_t hash = 0;   // Of the key and its namespace.
  };
  struct Value {
    std::string_view value;
    std::uint32_t client_flags = 0;
    bool has_flags = true;  // Else nobody asked for them.
    std::uint32_t epoch = 0;
    Instant until;
    std::uint32_t exp = 0;         // Unix time from which on it is over; 0: none.
    std::uint64_t generation = 0;  // Of its group, where that has one.
  };
  // Borrows from the cache: until its next change.
  struct Hit {
    std::string_view line;   // VALUE and so on, with its CR LF.
    std::string_view value;  // Follows it at once, and is followed by CR LF.
    std::uint32_t client_flags = 0;
    bool has_flags = true;
    std::uint64_t generation = 0;
  };

  // What is kept of the key and is good at `now`, where no write has begun since `epoch`. Drops
  // what is not.
  [[nodiscard]] std::optional<Hit> find(const Key& key, std::uint32_t epoch, Now now) noexcept;
  // Values that are too large are not kept.
  void keep(const Key& key, const Value& value, Now now) noexcept;
  // Drops what is over, in a `share`th part of the cache.
  void sweep(std::size_t share, Now now) noexcept {
    store_.remove_expired(store_.buckets() / share + 1, tick_of(now.instant));
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept { return store_.stats().bytes; }

 private:
  struct Head;

  // The store counts time in 32 bits: about 67 ms each, and nine years.
  [[nodiscard]] static std::uint32_t tick_of(Instant at) noexcept {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(at.ns) >> 26);
  }

  store::Store store_;
};

}  // namespace tokenring
