#include "base/address_space.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <new>

namespace tokenring {

namespace {

constexpr std::size_t kLeastBytes = std::size_t{16} << 20;
constexpr std::size_t kStepBytes = std::size_t{256} << 10;  // Used at once: a call to the kernel.

std::size_t bytes_to_take() noexcept {
  rlimit addresses{};
  if (::getrlimit(RLIMIT_AS, &addresses) != 0 || addresses.rlim_cur == RLIM_INFINITY)
    return AddressSpace::kBytes;
  const std::size_t share = addresses.rlim_cur / AddressSpace::kShare / kStepBytes * kStepBytes;
  return std::clamp(share, kLeastBytes, AddressSpace::kBytes);
}

}  // namespace

AddressSpace::AddressSpace()
    : size_(bytes_to_take()),
      begin_(::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
  if (begin_ == MAP_FAILED) throw std::bad_alloc();
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
