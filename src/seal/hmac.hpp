// HMAC-SHA-256 under a key that was worked in once: a message costs copying two states.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string_view>

#include "seal/secret.hpp"

namespace tokenring {

using Mac = std::array<unsigned char, 32>;

// Immutable: any number of threads may use one.
class HmacKey {
 public:
  explicit HmacKey(std::span<const unsigned char> key);

  // Of the parts one after the other. Allocates nothing.
  [[nodiscard]] Mac mac(std::initializer_list<std::string_view> parts) const noexcept;

 private:
  SecretBytes states_;
};

}  // namespace tokenring
