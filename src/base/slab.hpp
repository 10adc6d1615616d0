// Slab: objects at stable addresses, named by small numbers, reused without allocating.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include "base/address_space.hpp"
#include "base/assert.hpp"

namespace tokenring {

// Names an object of a Slab. The generation tells a later object in the same place apart, so that a
// late event for one that is gone finds nothing.
struct SlabId {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
  friend constexpr bool operator==(SlabId, SlabId) = default;
};

template <typename T>
class Slab {
 private:
  struct Entry;

 public:
  // For up to `most` objects, or a few more. Throws as AddressSpace does.
  explicit Slab(std::size_t most)
      : most_((most + kChunk - 1) / kChunk * kChunk),
        space_(most_ * sizeof(Entry)),
        entries_(static_cast<Entry*>(space_.begin())) {}
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (std::uint32_t i = 0; i < size_; ++i)
      if (entry(i).live) object(i)->~T();
  }

  // Bytes of addresses that a slab takes for each object.
  [[nodiscard]] static constexpr std::size_t object_bytes() noexcept { return sizeof(Entry); }

  // A freshly constructed object. Throws std::bad_alloc beyond `most`.
  template <typename... Args>
  SlabId insert(Args&&... args) {
    if (free_ == kNone) grow();
    const std::uint32_t index = free_;
    Entry& e = entry(index);
    free_ = e.next_free;
    ::new (static_cast<void*>(e.storage)) T(std::forward<Args>(args)...);
    e.live = true;
    ++live_;
    return {index, e.generation};
  }

  // REQUIRES: the object at `index` is live.
  void erase(std::uint32_t index) noexcept {
    Entry& e = entry(index);
    TR_ASSERT(e.live);
    object(index)->~T();
    e.live = false;
    ++e.generation;
    e.next_free = free_;
    free_ = index;
    --live_;
  }

  // Null when the object is gone.
  [[nodiscard]] T* find(SlabId id) noexcept {
    if (id.index >= size_) return nullptr;
    Entry& e = entry(id.index);
    return e.live && e.generation == id.generation ? object(id.index) : nullptr;
  }
  [[nodiscard]] bool has(std::uint32_t index) noexcept {
    return index < size_ && entry(index).live;
  }
  // REQUIRES: the object at `index` is live.
  [[nodiscard]] T& operator[](std::uint32_t index) noexcept { return *object(index); }
  [[nodiscard]] SlabId id_of(std::uint32_t index) noexcept {
    return {index, entry(index).generation};
  }

  [[nodiscard]] std::size_t live() const noexcept { return live_; }
  // Calls f(index, object) for each live object.
  template <typename F>
  void for_each(F&& f) {
    for (std::uint32_t i = 0; i < size_; ++i)
      if (entry(i).live) f(i, *object(i));
  }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::uint32_t kChunk = 64;

  struct Entry {
    std::uint32_t next_free = kNone;
    std::uint32_t generation = 0;
    bool live = false;
    alignas(T) std::byte storage[sizeof(T)];
  };

  // By address alone, without a table of parts: it is asked for a dozen times a request.
  Entry& entry(std::uint32_t index) noexcept { return entries_[index]; }
  T* object(std::uint32_t index) noexcept {
    return std::launder(reinterpret_cast<T*>(entry(index).storage));
  }
  void grow() {
    if (size_ == most_) throw std::bad_alloc();
    space_.use(std::size_t{size_ + kChunk} * sizeof(Entry));
    for (std::uint32_t i = size_ + kChunk; i-- > size_;) {
      ::new (static_cast<void*>(entries_ + i)) Entry;
      entry(i).next_free = free_;
      free_ = i;
    }
    size_ += kChunk;
  }

  std::size_t most_;
  AddressSpace space_;
  Entry* entries_;
  std::uint32_t size_ = 0;
  std::uint32_t free_ = kNone;
  std::size_t live_ = 0;
};

}  // namespace tokenring
