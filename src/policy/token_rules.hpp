// TokenRules: what a namespace promises of its tokens beyond how long they live.
#pragma once

#include <cstdint>

namespace tokenring {

// How the values of a group of keys are made worthless at once.
enum class Revocation : std::uint8_t {
  kNone,
  kGeneration,  // A value is good while its group's marker has the generation it was sealed under.
  kNotBefore,   // A value is good if it is younger than its group's marker, or there is none.
};

struct TokenRules {
  Revocation revocation = Revocation::kNone;
  bool one_time = false;          // Whoever reads a value first is the only one.
  bool replay_guard = false;      // Only add and get: what was added once is refused again.
  std::int64_t fill_guard_s = 0;  // For so long a delete keeps fills away; 0: it does not.
  std::int64_t herd_wait_ms =
      0;  // For so long a get waits for another one's fetch; 0: it does not.
  std::int64_t negative_ttl_s = 0;  // What "active": false may live; 0: as any other value.
  // Who is asked of a token that is not there: index into Snapshot::introspections.
  std::uint16_t asks = kNobody;

  static constexpr std::uint16_t kNobody = UINT16_MAX;

  [[nodiscard]] bool revokes() const noexcept { return revocation != Revocation::kNone; }
  [[nodiscard]] bool asks_elsewhere() const noexcept { return asks != kNobody; }
  // Whether more than one request to the node may be needed, or another than the client's own.
  [[nodiscard]] bool any() const noexcept {
    return revokes() || one_time || replay_guard || fill_guard_s > 0 || herd_wait_ms > 0 ||
           asks_elsewhere();
  }
};

}  // namespace tokenring
