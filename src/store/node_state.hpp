// What an embedded node is made of, its limits and its counters.
#pragma once

#include <cstddef>
#include <cstdint>

#include "store/store.hpp"

namespace tokenring {

struct StoreOptions {
  std::size_t bytes_max = std::size_t{64} << 20;      // All memory; store::Store has its limits.
  std::size_t item_bytes_max = std::size_t{1} << 20;  // As memcached's -I: value, key and header.
  // A call of serve() stops before the next request when this much output waits.
  std::size_t reply_bytes_max = std::size_t{4} << 20;
  std::uint64_t hash_seed = 0;  // Drawn by whoever serves untrusted clients.
};

// Counted as memcached counts, under its names.
struct NodeStats {
  store::StoreStats store;
  std::uint64_t cmd_get = 0;
  std::uint64_t cmd_set = 0;
  std::uint64_t cmd_flush = 0;
  std::uint64_t cmd_touch = 0;
  std::uint64_t cmd_meta = 0;
  std::uint64_t get_hits = 0;
  std::uint64_t get_misses = 0;
  std::uint64_t delete_hits = 0;
  std::uint64_t delete_misses = 0;
  std::uint64_t incr_hits = 0;
  std::uint64_t incr_misses = 0;
  std::uint64_t decr_hits = 0;
  std::uint64_t decr_misses = 0;
  std::uint64_t cas_hits = 0;
  std::uint64_t cas_misses = 0;
  std::uint64_t cas_badval = 0;
  std::uint64_t touch_hits = 0;
  std::uint64_t store_too_large = 0;
  std::uint64_t store_no_memory = 0;
};

struct NodeState {
  StoreOptions options;
  store::Store store;
  NodeStats stats{};           // Without the store's part.
  std::uint32_t flush_at = 0;  // Unix seconds; 0: no flush is pending.
};

}  // namespace tokenring
