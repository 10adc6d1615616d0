// Key hashes: every function that turns a key into a number, bit for bit as its origin does.
//
// The names are those of the configuration. Where C and Java implementations of one name differ (C
// sign-extends bytes, Java hashes UTF-16 units), a row has a function for either.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include "tokenring/ring.hpp"

namespace tokenring {

// Only xxh3 reads `seed`. All but xxh3 return 32 bits or fewer.
using HashFunction = std::uint64_t (*)(std::string_view text, std::uint64_t seed) noexcept;

enum class HashDialect : std::uint8_t { kC, kJava };

struct KeyHashRow {
  KeyHash hash;
  std::string_view name;
  HashFunction c;
  HashFunction java;

  [[nodiscard]] constexpr HashFunction in(HashDialect dialect) const noexcept {
    return dialect == HashDialect::kJava ? java : c;
  }
};

[[nodiscard]] std::span<const KeyHashRow> key_hash_rows() noexcept;
[[nodiscard]] const KeyHashRow& row_of(KeyHash hash) noexcept;

// A set of hashes, for the table of placements.
class KeyHashSet {
 public:
  constexpr KeyHashSet(std::initializer_list<KeyHash> hashes) noexcept {
    for (const KeyHash hash : hashes) bits_ |= bit(hash);
  }
  [[nodiscard]] constexpr bool has(KeyHash hash) const noexcept { return (bits_ & bit(hash)) != 0; }

 private:
  [[nodiscard]] static constexpr std::uint32_t bit(KeyHash hash) noexcept {
    return std::uint32_t{1} << static_cast<unsigned>(hash);
  }
  std::uint32_t bits_ = 0;
};

}  // namespace tokenring
