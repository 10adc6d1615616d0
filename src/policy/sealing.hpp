// SealRules: what a namespace does to its values and keys before a node sees them.
#pragma once

#include <cstdint>
#include <memory>

#include "seal/compress.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

enum class SealMode : std::uint8_t {
  kOff,
  kMigrate,  // Values are written sealed; those that are not are still read, until a deadline.
  kRequire,  // What does not open is a miss.
};

struct SealRules {
  SealMode mode = SealMode::kOff;
  UnixTime migrate_until;
  bool blind_keys = false;  // REQUIRES: kRequire, for older items stand under other names.
  bool arithmetic = true;   // Whether values may be changed in place: append, incr, ma and so on.
  bool compress = false;
  std::shared_ptr<const Dictionary> dictionary = nullptr;  // Null: without one.

  [[nodiscard]] bool seals() const noexcept { return mode != SealMode::kOff; }
};

}  // namespace tokenring
