// Counts what a binary allocates. Include in one file of a binary: it replaces operator new,
// except under the thread sanitizer, which brings its own and then counts nothing.
#pragma once

#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<std::size_t> allocations{0};
}

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TOKENRING_COUNTS_NOTHING
#endif
#endif

#ifndef TOKENRING_COUNTS_NOTHING
// Not inlined: gcc takes the pair of an inlined new and a free() for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif
