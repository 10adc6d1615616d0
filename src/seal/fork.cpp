#include "seal/fork.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>

#include "base/assert.hpp"

namespace tokenring {

namespace {

std::atomic<std::uint64_t> forks{1};

void count_fork() noexcept {
  forks.fetch_add(1, std::memory_order_release);
}

using Mark = std::atomic<std::uint32_t>;

// A page that the kernel clears in the child, whichever call forked. Where it cannot (before Linux
// 4.14), the C library's hook has to do, which misses a bare clone().
Mark* make_mark() noexcept {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* const memory =
      mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) {
    if (madvise(memory, page, MADV_WIPEONFORK) == 0) {
      auto* const mark = new (memory) Mark(1);
      return mark;
    }
    munmap(memory, page);
  }
  TR_ASSERT(pthread_atfork(nullptr, nullptr, count_fork) == 0);
  static Mark never_wiped{1};
  return &never_wiped;
}

}  // namespace

std::uint64_t fork_count() noexcept {
  static Mark* const kMark = make_mark();
  if (kMark->load(std::memory_order_acquire) == 0) [[unlikely]] {
    // Counted before it is marked: a thread that sees the mark sees the count. Twice does no harm.
    count_fork();
    kMark->store(1, std::memory_order_release);
  }
  return forks.load(std::memory_order_acquire);
}

}  // namespace tokenring
