// One stored item: header, key and value in one piece of the arena.
//
//   0       8     16                                 50    50+key  50+key+value
//   | Block | cas | links, hash, times, flags, sizes | key | value | slack |
//
// A pointer to an Item lives until the item is removed: any call of Store that allocates may evict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "store/arena.hpp"

namespace tokenring::store {

struct Item {
  Block block;  // The arena's tag; its size is what the item is charged.
  std::uint64_t cas;
  Ref hash_next;  // The next item of its bucket.
  Ref newer;      // Neighbours in its queue.
  Ref older;
  std::uint32_t hash;
  std::uint32_t deadline;     // Unix seconds from which on it is expired; 0: never.
  std::uint32_t last_access;  // Unix seconds.
  std::uint32_t client_flags;
  std::uint32_t value_size;
  bool stale : 1;       // Marked by md I or a late ms I: readers see X.
  bool token_sent : 1;  // Somebody has won W: the others see Z.
  bool fetched : 1;
  bool binary_key : 1;         // Stored with the b flag: its key goes out as base64.
  std::uint8_t frequency : 2;  // Hits since it entered its queue, at most 3.
  bool in_main : 1;            // Which of S3-FIFO's two queues it is in.
  std::uint8_t key_size;

  [[nodiscard]] std::string_view key() const noexcept {
    return {reinterpret_cast<const char*>(this) + kHeaderBytes, key_size};
  }
  [[nodiscard]] std::string_view value() const noexcept {
    return {reinterpret_cast<const char*>(this) + kHeaderBytes + key_size, value_size};
  }
  [[nodiscard]] char* key_bytes() noexcept { return reinterpret_cast<char*>(this) + kHeaderBytes; }
  [[nodiscard]] std::span<char> value_bytes() noexcept {
    return {key_bytes() + key_size, value_size};
  }
  [[nodiscard]] bool expired(std::uint32_t now) const noexcept {
    return deadline != 0 && deadline <= now;
  }

  static constexpr std::size_t kHeaderBytes = 50;
};

static_assert(offsetof(Item, key_size) + sizeof(Item::key_size) == Item::kHeaderBytes);

[[nodiscard]] constexpr std::uint32_t granules_of_item(std::size_t key_size,
                                                       std::size_t value_size) noexcept {
  return Arena::granules_for(Item::kHeaderBytes + key_size + value_size);
}

[[nodiscard]] inline Item& item_at(const Arena& arena, Ref ref) noexcept {
  return *static_cast<Item*>(arena.at(ref));
}

}  // namespace tokenring::store
