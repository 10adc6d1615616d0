#include "store/arena.hpp"

#include <bit>

#include "base/assert.hpp"

namespace tokenring::store {

Arena::Arena(char* memory, std::size_t bytes) noexcept
    : memory_(memory), end_(static_cast<Ref>(bytes / kGranuleBytes)) {
  TR_ASSERT(bytes >= 4096 && bytes <= kBytesMax);
  reset();
}

void Arena::reset() noexcept {
  bins_.fill(0);
  filled_.fill(0);
  granules_used_ = 0;
  tag(kFirst).before = 0;
  set_size(kFirst, end_ - kFirst);
  insert(kFirst);
}

std::uint32_t Arena::bin_of(std::uint32_t granules) noexcept {
  if (granules < kExactBins) return granules;
  const auto power = static_cast<std::uint32_t>(std::bit_width(granules)) - 1;  // 5 to 31
  return kExactBins + (power - 5) * 16 + ((granules >> (power - 4)) & 15);
}

Ref Arena::find(std::uint32_t granules) const noexcept {
  const std::uint32_t own = bin_of(granules);
  int probes = kProbesMax;
  for (Ref ref = bins_[own]; ref != 0 && probes > 0; ref = free_block(ref).next, --probes)
    if (block(ref).size >= granules) return ref;

  const std::uint32_t larger = own + 1;
  std::uint64_t mask = ~std::uint64_t{0} << (larger % 64);
  for (std::size_t word = larger / 64; word < filled_.size(); ++word) {
    if (const std::uint64_t bits = filled_[word] & mask; bits != 0)
      return bins_[word * 64 + static_cast<std::size_t>(std::countr_zero(bits))];
    mask = ~std::uint64_t{0};
  }
  return 0;
}

Ref Arena::allocate(std::uint32_t granules) noexcept {
  const Ref ref = find(granules);
  if (ref == 0) return 0;
  take_out(ref);
  if (const std::uint32_t rest = block(ref).size - granules; rest > 0) {
    set_size(ref, granules);
    const Ref remainder = ref + granules;
    set_size(remainder, rest);
    insert(remainder);
  }
  tag(ref).is_free = 0;
  granules_used_ += granules;
  return ref;
}

Ref Arena::release(Ref ref) noexcept {
  TR_ASSERT(block(ref).is_free == 0);
  granules_used_ -= block(ref).size;
  if (const Ref next = following(ref); next != 0 && block(next).is_free == 1) {
    take_out(next);
    set_size(ref, block(ref).size + block(next).size);
  }
  if (const Ref previous = preceding(ref); previous != 0 && block(previous).is_free == 1) {
    take_out(previous);
    set_size(previous, block(previous).size + block(ref).size);
    ref = previous;
  }
  insert(ref);
  return ref;
}

void Arena::set_size(Ref ref, std::uint32_t granules) noexcept {
  tag(ref).size = granules & 0x7fffffff;
  if (const Ref next = following(ref); next != 0) tag(next).before = granules;
}

void Arena::insert(Ref ref) noexcept {
  const std::uint32_t bin = bin_of(block(ref).size);
  FreeBlock& piece = free_block(ref);
  piece.tag.is_free = 1;
  piece.next = bins_[bin];
  piece.previous = 0;
  if (piece.next != 0) free_block(piece.next).previous = ref;
  bins_[bin] = ref;
  filled_[bin / 64] |= std::uint64_t{1} << (bin % 64);
}

void Arena::take_out(Ref ref) noexcept {
  const FreeBlock& piece = free_block(ref);
  if (piece.next != 0) free_block(piece.next).previous = piece.previous;
  if (piece.previous != 0) {
    free_block(piece.previous).next = piece.next;
    return;
  }
  const std::uint32_t bin = bin_of(piece.tag.size);
  bins_[bin] = piece.next;
  if (piece.next == 0) filled_[bin / 64] &= ~(std::uint64_t{1} << (bin % 64));
}

bool Arena::consistent() const noexcept {
  std::uint32_t used = 0;
  std::uint32_t free_count = 0;
  std::uint32_t before = 0;
  bool last_free = false;
  for (Ref ref = kFirst; ref != 0; ref = following(ref)) {
    const Block& piece = block(ref);
    if (piece.size == 0 || piece.before != before || ref + piece.size > end_) return false;
    if (piece.is_free == 1 && last_free) return false;
    last_free = piece.is_free == 1;
    before = piece.size;
    if (last_free) {
      ++free_count;
    } else {
      used += piece.size;
    }
  }
  std::uint32_t listed = 0;
  for (std::uint32_t bin = 0; bin < kBins; ++bin) {
    if ((bins_[bin] != 0) != ((filled_[bin / 64] >> (bin % 64) & 1) == 1)) return false;
    for (Ref ref = bins_[bin]; ref != 0; ref = free_block(ref).next, ++listed)
      if (block(ref).is_free == 0 || bin_of(block(ref).size) != bin) return false;
  }
  return used == granules_used_ && listed == free_count;
}

}  // namespace tokenring::store
