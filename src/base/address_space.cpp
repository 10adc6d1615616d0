#include "base/address_space.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <new>
#include <string>
#include <system_error>

namespace tokenring {

namespace {

constexpr std::size_t kStepBytes = std::size_t{256} << 10;  // Used at once: a call to the kernel.

constexpr std::size_t in_steps(std::size_t bytes) noexcept {
  return (bytes + kStepBytes - 1) / kStepBytes * kStepBytes;
}

}  // namespace

AddressSpace::AddressSpace(std::size_t bytes)
    : size_(in_steps(bytes)),
      begin_(::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
  if (begin_ != MAP_FAILED) return;
  throw std::system_error(errno, std::system_category(),
                          "cannot reserve " + std::to_string(size_ >> 10) + " KiB of addresses");
}

AddressSpace::~AddressSpace() {
  ::munmap(begin_, size_);
}

std::size_t AddressSpace::allowed() noexcept {
  rlimit addresses{};
  if (::getrlimit(RLIMIT_AS, &addresses) != 0 || addresses.rlim_cur == RLIM_INFINITY)
    return SIZE_MAX;
  return addresses.rlim_cur;
}

void AddressSpace::use(std::size_t bytes) {
  if (bytes <= used_) return;
  if (bytes > size_) throw std::bad_alloc();
  const std::size_t wanted = std::min(size_, in_steps(bytes));
  char* const unused = static_cast<char*>(begin_) + used_;
  if (::mprotect(unused, wanted - used_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  used_ = wanted;
}

}  // namespace tokenring
