// HKDF-SHA-256 (RFC 5869) with tokenring's salt.
#pragma once

#include <span>
#include <string_view>

#include "seal/hmac.hpp"

namespace tokenring {

class Hkdf {
 public:
  explicit Hkdf(std::span<const unsigned char> key);

  // Fills `out`, at most 32 bytes, for info = purpose || name.
  void derive(std::string_view purpose, std::string_view name,
              std::span<unsigned char> out) const noexcept;

 private:
  HmacKey expand_;
};

}  // namespace tokenring
