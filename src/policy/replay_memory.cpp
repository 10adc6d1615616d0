#include "policy/replay_memory.hpp"

#include <xxhash.h>

#include <array>
#include <new>

namespace tokenring {

struct ReplayMemory::Table {
  std::uint64_t seed = 0;
  std::array<Cell, kCells> cells{};
};

ReplayMemory::~ReplayMemory() {
  delete table_.load(std::memory_order_relaxed);
}

void ReplayMemory::prepare(std::uint64_t seed) noexcept {
  if (table_.load(std::memory_order_acquire) != nullptr) return;
  auto* const made = new (std::nothrow) Table;
  if (made == nullptr) return;
  made->seed = seed;
  Table* none = nullptr;
  if (!table_.compare_exchange_strong(none, made, std::memory_order_acq_rel)) delete made;
}

bool ReplayMemory::add(std::string_view space, std::string_view id, UnixTime end,
                       UnixTime now) noexcept {
  Table* const table = table_.load(std::memory_order_acquire);
  if (table == nullptr || end <= now) return false;
  const std::uint64_t of_space = XXH3_64bits_withSeed(space.data(), space.size(), table->seed);
  const std::uint64_t hash = XXH3_64bits_withSeed(id.data(), id.size(), of_space);
  Cell& cell = table->cells[hash % kCells];
  const std::uint64_t known_until = cell.end.load(std::memory_order_relaxed);
  const bool is_known = (cell.check.load(std::memory_order_relaxed) ^ known_until) == hash;
  const auto until = static_cast<std::uint64_t>(end.seconds);
  cell.check.store(hash ^ until, std::memory_order_relaxed);
  cell.end.store(until, std::memory_order_relaxed);
  return is_known && static_cast<std::int64_t>(known_until) - kSlackS > now.seconds;
}

}  // namespace tokenring
