// Breaker: stops asking a server that fails, so that nobody waits for it in vain and it can
// recover.
#pragma once

#include <cstdint>

#include "tokenring/units.hpp"

namespace tokenring {

// After so many failures in a row nothing is asked for a pause, and then one question is: it
// decides.
class Breaker {
 public:
  // May be changed at any time.
  struct Limits {
    std::uint32_t failures = 5;
    std::int64_t pause_ms = 5'000;
  };

  // Whoever gets true asks, and says what came of it by one of the two below.
  [[nodiscard]] bool may_ask(Instant now) noexcept {
    if (!is_open_) return true;
    if (is_probing_ || now < closed_again_) return false;
    return is_probing_ = true;
  }
  // True: it closes.
  bool succeeded() noexcept {
    const bool was_open = is_open_;
    *this = {};
    return was_open;
  }
  // True: it opens, or stays open after its probe.
  bool failed(Limits limits, Instant now) noexcept {
    const bool opens = is_open_ ? is_probing_ : ++failures_ >= limits.failures;
    if (!opens) return false;
    is_open_ = true;
    is_probing_ = false;
    closed_again_ = now.plus_ms(limits.pause_ms);
    return true;
  }
  [[nodiscard]] bool is_open() const noexcept { return is_open_; }

 private:
  bool is_open_ = false;
  bool is_probing_ = false;
  std::uint32_t failures_ = 0;
  Instant closed_again_;
};

}  // namespace tokenring
