// AddressSpace: a range of addresses that memory comes into as it is used, so that what lies there
// never moves.
#pragma once

#include <cstddef>

namespace tokenring {

class AddressSpace {
 public:
  // Takes `bytes` of addresses, a little more perhaps, and no memory. Throws std::system_error
  // where they are not to be had.
  explicit AddressSpace(std::size_t bytes);
  ~AddressSpace();
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

  // Bytes of addresses that this process may have in all (RLIMIT_AS); SIZE_MAX: any number.
  [[nodiscard]] static std::size_t allowed() noexcept;

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
