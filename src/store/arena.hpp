// The memory of a store: one region, handed out in pieces of 16-byte granules.
//
// Why not malloc or slab classes: the region is the bound. Fragmentation costs capacity, never
// memory beyond it, and no class of sizes can hold pages that another one needs. Pieces carry
// boundary tags, so a freed one merges with its free neighbours at once, and the owner can make a
// large hole by freeing what lies side by side.
//
//   | size, before | contents ...           |   a piece in use
//   | size, before | next, previous | ...   |   a free piece, in the list of its size's bin
//
// Everything is constant time but a look at a few members of one bin. The memory is borrowed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tokenring::store {

// A granule's index from the start of the region; 0 is no piece.
using Ref = std::uint32_t;

// The tag in front of every piece.
struct Block {
  std::uint32_t size : 31;  // Granules, this tag included.
  std::uint32_t is_free : 1;
  std::uint32_t before;  // Size of the piece that ends where this one begins; 0 for the first.
};

class Arena {
 public:
  static constexpr std::size_t kGranuleBytes = 16;
  static constexpr std::size_t kBytesMax = std::size_t{32} << 30;

  // `memory` is aligned to kGranuleBytes. REQUIRES: 4 KiB <= bytes <= kBytesMax.
  Arena(char* memory, std::size_t bytes) noexcept;

  // Forgets every piece.
  void reset() noexcept;
  // A piece of at least `granules` (at least 1); 0 when no free piece is large enough.
  [[nodiscard]] Ref allocate(std::uint32_t granules) noexcept;
  // Frees a piece in use. Returns the free piece that it is now part of.
  Ref release(Ref ref) noexcept;

  [[nodiscard]] void* at(Ref ref) const noexcept { return memory_ + ref * kGranuleBytes; }
  [[nodiscard]] Ref ref_of(const void* piece) const noexcept {
    return static_cast<Ref>(static_cast<std::size_t>(static_cast<const char*>(piece) - memory_) /
                            kGranuleBytes);
  }
  [[nodiscard]] const Block& block(Ref ref) const noexcept {
    return *static_cast<const Block*>(at(ref));
  }
  // Neighbours in memory; 0 at either end.
  [[nodiscard]] Ref following(Ref ref) const noexcept {
    const Ref next = ref + block(ref).size;
    return next == end_ ? 0 : next;
  }
  [[nodiscard]] Ref preceding(Ref ref) const noexcept {
    const std::uint32_t before = block(ref).before;
    return before == 0 ? 0 : ref - before;
  }

  [[nodiscard]] std::uint32_t granules_used() const noexcept { return granules_used_; }
  [[nodiscard]] std::uint32_t granules_total() const noexcept { return end_ - kFirst; }
  // Whether tags, bins and counts agree. Walks the whole region: for tests.
  [[nodiscard]] bool consistent() const noexcept;

  [[nodiscard]] static constexpr std::uint32_t granules_for(std::size_t bytes) noexcept {
    return static_cast<std::uint32_t>((bytes + kGranuleBytes - 1) / kGranuleBytes);
  }

 private:
  struct FreeBlock {
    Block tag;
    Ref next;
    Ref previous;
  };
  static_assert(sizeof(FreeBlock) == kGranuleBytes);

  // Sizes below kExactBins have a bin each; above, 16 bins to every power of two.
  static constexpr std::uint32_t kExactBins = 32;
  static constexpr std::uint32_t kBins = kExactBins + 16 * 27;
  static constexpr std::uint32_t kFirst = 1;  // Granule 0 is never a piece.
  // How many pieces of its own bin a search looks at before it takes one from a larger bin.
  static constexpr int kProbesMax = 8;

  [[nodiscard]] static std::uint32_t bin_of(std::uint32_t granules) noexcept;
  [[nodiscard]] Block& tag(Ref ref) noexcept { return *static_cast<Block*>(at(ref)); }
  [[nodiscard]] FreeBlock& free_block(Ref ref) const noexcept {
    return *static_cast<FreeBlock*>(at(ref));
  }
  [[nodiscard]] Ref find(std::uint32_t granules) const noexcept;
  void insert(Ref ref) noexcept;
  void take_out(Ref ref) noexcept;
  void set_size(Ref ref, std::uint32_t granules) noexcept;

  char* memory_;
  Ref end_;  // One past the last granule.
  std::uint32_t granules_used_ = 0;
  std::array<Ref, kBins> bins_{};
  std::array<std::uint64_t, (kBins + 63) / 64> filled_{};  // One bit for each bin with a member.
};

}  // namespace tokenring::store
