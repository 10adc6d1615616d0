#include "base/address_space.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace tokenring {

namespace {

constexpr std::size_t kLeastBytes = std::size_t{16} << 20;
constexpr std::size_t kStepBytes = std::size_t{256} << 10;  // Used at once: a call to the kernel.

}  // namespace

AddressSpace::AddressSpace() {
  for (size_ = kBytes; size_ >= kLeastBytes; size_ /= 2) {
    void* const at = ::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) continue;
    begin_ = at;
    return;
  }
  throw std::bad_alloc();
}

AddressSpace::~AddressSpace() {
  ::munmap(begin_, size_);
}

void AddressSpace::use(std::size_t bytes) {
  if (bytes <= used_) return;
  if (bytes > size_) throw std::bad_alloc();
  const std::size_t wanted = std::min(size_, (bytes + kStepBytes - 1) / kStepBytes * kStepBytes);
  char* const unused = static_cast<char*>(begin_) + used_;
  if (::mprotect(unused, wanted - used_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  used_ = wanted;
}

}  // namespace tokenring
