// The near cache's rules, and what tells all workers of a process that a value of theirs is old.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace tokenring {

// Whether a namespace's values are kept in the worker that has read them.
struct NearRules {
  std::size_t bytes = 0;    // Of each worker; 0: none are kept.
  std::int64_t ttl_ms = 0;  // How long one is given out after it was asked for.
  // Which of a worker's caches; owners' parts of one namespace share it. Fewer than namespaces.
  std::uint16_t cache = 0;

  [[nodiscard]] bool is_on() const noexcept { return bytes > 0; }
};

// Counts the writes that pass through the process, by a hash of what they are to. A value is as new
// as it was when it was asked for while no write to it is under way and none has begun since; that
// asks for no clock, and for no order but that of a worker's own doings.
//
// Each snapshot has its own. Nothing is settled before all workers have joined it, nor after one
// has left it for another: a worker that does not know it yet counts no writes in it.
class NearEpochs {
 public:
  static constexpr std::uint16_t kPlaces = 16'384;
  static constexpr std::uint16_t kAll = kPlaces;  // The place of a write to everything.

  // `seed`: of the hashes of keys, so that nobody can tell which share a place.
  NearEpochs(std::size_t workers, std::uint64_t seed) noexcept : seed_(seed) {
    counts_[kAll] = workers;
  }
  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

  // What was read at a place at one moment.
  struct Seen {
    std::uint32_t epoch = 0;
    bool is_settled = false;  // No write was under way.
  };
  [[nodiscard]] Seen read(std::uint16_t place) const noexcept {
    const std::uint64_t count = counts_[place].load(std::memory_order_acquire) +
                                counts_[kAll].load(std::memory_order_acquire);
    return {static_cast<std::uint32_t>(count >> 32), static_cast<std::uint32_t>(count) == 0};
  }
  // A write is about to be sent. What was kept before it is good no more.
  void begin(std::uint16_t place) noexcept { counts_[place].fetch_add(kEpoch + 1); }
  // Its client is about to be told what came of it, or nobody waits for that any more. Once for
  // each begin().
  void end(std::uint16_t place) noexcept { counts_[place].fetch_add(kEpoch - 1); }

  // Once for each worker.
  void join() noexcept { end(kAll); }
  void leave() noexcept { begin(kAll); }

 private:
  // Above it the writes' beginnings and ends, below it those under way.
  static constexpr std::uint64_t kEpoch = std::uint64_t{1} << 32;

  std::uint64_t seed_;
  std::array<std::atomic<std::uint64_t>, std::size_t{kPlaces} + 1> counts_{};
};

}  // namespace tokenring
