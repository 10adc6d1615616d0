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
using MacParts = std::initializer_list<std::string_view>;  // A message: one after the other.

// Immutable: any number of threads may use one.
class HmacKey {
 public:
  explicit HmacKey(std::span<const unsigned char> key);

  // Allocates nothing.
  [[nodiscard]] Mac mac(MacParts parts) const noexcept;

  // Of two messages. Short ones take little longer than one does: the processor works at both.
  void mac_two(MacParts one, MacParts other, Mac& of_one, Mac& of_other) const noexcept;

 private:
  SecretBytes states_;
};

}  // namespace tokenring
