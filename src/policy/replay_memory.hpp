// ReplayMemory: which ids were added lately and are to be known at their nodes still, so that one
// that is added again tells that its node has lost it.
//
// A fixed table that all workers share: a new id takes the place of whichever lay in its cell. A
// cell is two words without a lock. The first is the second and the id's hash in one, so that words
// of two writers that met fit no id. What is overwritten, or torn, costs an alarm and raises none.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tokenring/units.hpp"

namespace tokenring {

class ReplayMemory {
 public:
  static constexpr std::size_t kCells = std::size_t{1} << 18;  // 4 MiB.
  // By which a node may let go of an item early, or its clock may differ.
  static constexpr std::int64_t kSlackS = 3;

  ReplayMemory() = default;
  ~ReplayMemory();
  ReplayMemory(const ReplayMemory&) = delete;
  ReplayMemory& operator=(const ReplayMemory&) = delete;

  // Makes the table; without it nothing is remembered. The first `seed` is what ids are hashed by.
  void prepare(std::uint64_t seed) noexcept;
  // The id was added, and is to be known until `end`. True where it was known already.
  [[nodiscard]] bool add(std::string_view space, std::string_view id, UnixTime end,
                         UnixTime now) noexcept;

 private:
  struct Cell {
    std::atomic<std::uint64_t> check{0};
    std::atomic<std::uint64_t> end{0};
  };
  struct Table;

  std::atomic<Table*> table_{nullptr};
};

}  // namespace tokenring
