// AddressSpace: a range of addresses that memory comes into as it is used, so that what lies there
// never moves.
#pragma once

#include <cstddef>

namespace tokenring {

class AddressSpace {
 public:
  // Takes kBytes of addresses and no memory; where the process may have only so many (RLIMIT_AS), a
  // kShare of these. Throws std::bad_alloc where they are not to be had.
  AddressSpace();
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  // More than a worker's limits let it use: 16 million slots of requests, for example.
  static constexpr std::size_t kBytes = std::size_t{4} << 30;
  static constexpr std::size_t kShare = 128;

  // Aligned to a page.
  [[nodiscard]] void* begin() const noexcept { return begin_; }
  // Makes the first `bytes` usable; what is new is zero. Throws std::bad_alloc where there is no
  // memory or no address left.
  void use(std::size_t bytes);

 private:
  std::size_t size_;
  void* begin_;
  std::size_t used_ = 0;
};

}  // namespace tokenring
