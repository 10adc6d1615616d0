// Halves of nonces out of a pooled draw: a draw for each message would cost more than sealing it.
#pragma once

#include <array>
#include <cstddef>

#include "seal/xaes.hpp"
#include "tokenring/envelope.hpp"

namespace tokenring {

class NoncePool {
 public:
  explicit NoncePool(Entropy& entropy) noexcept : entropy_(&entropy) {}

  // 12 random bytes that were never handed out before; null when entropy failed. Valid until the
  // next call.
  [[nodiscard]] const char* take() noexcept {
    if (used_ == bytes_.size() && !refill()) return nullptr;
    const char* const half = reinterpret_cast<const char*>(bytes_.data() + used_);
    used_ += kHalfBytes;
    return half;
  }
  // Forgets what was drawn ahead.
  void drop() noexcept { used_ = bytes_.size(); }

 private:
  static constexpr std::size_t kHalfBytes = kXaesNonceTailBytes;
  static_assert(kHalfBytes == kXaesNonceHeadBytes);

  bool refill() noexcept {
    if (!entropy_->fill(bytes_)) return false;
    used_ = 0;
    return true;
  }

  Entropy* entropy_;
  std::array<unsigned char, kHalfBytes * 256> bytes_;
  std::size_t used_ = kHalfBytes * 256;
};

}  // namespace tokenring
