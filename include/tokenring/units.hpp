// The quantities of the memcached protocol as types, so that one cannot pass for another.
//
// Everything here is a plain value; nothing borrows.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

namespace tokenring {

// Seconds since 1970-01-01T00:00:00Z.
struct UnixTime {
  std::int64_t seconds = 0;
  friend constexpr auto operator<=>(UnixTime, UnixTime) = default;
};

// Nanoseconds on a monotonic clock of arbitrary origin: for timeouts and latencies only.
struct Instant {
  std::int64_t ns = 0;
  friend constexpr auto operator<=>(Instant, Instant) = default;
  [[nodiscard]] constexpr Instant plus_ms(std::int64_t ms) const { return {ns + ms * 1'000'000}; }
};

// What the core is told about time: it never reads a clock itself.
struct Now {
  UnixTime unix_time;
  Instant instant;
};

// A node's compare-and-swap number (64 bit, never 0 for a stored item).
struct Cas {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(Cas, Cas) = default;
};

// How long an item may live: memcached's exptime, resolved once at the edge.
//
// On the wire one signed 32-bit integer has four meanings (memcached's doc/protocol.txt,
// "Expiration times"): 0 never, negative at once, up to 30 days seconds from now, above a date.
// A bare min() over such integers lengthens lives; bounded_by() does not.
class Expiry {
 public:
  enum class Kind : std::uint8_t { kNever, kImmediate, kRelative, kDate };

  // 30 days in seconds: the largest exptime that counts from now (memcached's REALTIME_MAXDELTA).
  static constexpr std::int64_t kRelativeMax = 60 * 60 * 24 * 30;

  // Any exptime is legal; see the four meanings above.
  [[nodiscard]] static constexpr Expiry from_exptime(std::int32_t exptime) noexcept {
    if (exptime == 0) return Expiry(Kind::kNever, 0);
    if (exptime < 0) return Expiry(Kind::kImmediate, 0);
    if (exptime <= kRelativeMax) return Expiry(Kind::kRelative, exptime);
    return Expiry(Kind::kDate, exptime);
  }
  [[nodiscard]] static constexpr Expiry never() noexcept { return Expiry(Kind::kNever, 0); }
  [[nodiscard]] static constexpr Expiry immediate() noexcept { return Expiry(Kind::kImmediate, 0); }
  // `seconds` from now; zero or less is immediate. Longer than 30 days needs `now` for the date.
  [[nodiscard]] static constexpr Expiry in_seconds(std::int64_t seconds, UnixTime now) noexcept {
    if (seconds <= 0) return immediate();
    if (seconds <= kRelativeMax) return Expiry(Kind::kRelative, seconds);
    return Expiry(Kind::kDate, std::min<std::int64_t>(now.seconds + seconds, INT32_MAX));
  }

  [[nodiscard]] constexpr Kind kind() const noexcept { return kind_; }
  [[nodiscard]] constexpr bool is_never() const noexcept { return kind_ == Kind::kNever; }
  [[nodiscard]] constexpr bool is_immediate() const noexcept { return kind_ == Kind::kImmediate; }

  // Seconds of life left at `now`: at least 0, INT64_MAX for never.
  [[nodiscard]] constexpr std::int64_t remaining_s(UnixTime now) const noexcept {
    switch (kind_) {
      case Kind::kNever:
        return INT64_MAX;
      case Kind::kImmediate:
        return 0;
      case Kind::kRelative:
        return value_;
      case Kind::kDate:
        return std::max<std::int64_t>(0, value_ - now.seconds);
    }
    return 0;
  }

  // The shorter of this and `seconds` from now. Keeps its own form when it is the shorter.
  [[nodiscard]] constexpr Expiry bounded_by(std::int64_t seconds, UnixTime now) const noexcept {
    return remaining_s(now) <= seconds ? *this : in_seconds(seconds, now);
  }

  // The integer to put on the wire. Lossless for what from_exptime() was given, but that every
  // negative number becomes -1.
  [[nodiscard]] constexpr std::int32_t exptime() const noexcept {
    return kind_ == Kind::kImmediate ? -1 : static_cast<std::int32_t>(value_);
  }

  friend constexpr bool operator==(Expiry, Expiry) = default;

 private:
  constexpr Expiry(Kind kind, std::int64_t value) noexcept : kind_(kind), value_(value) {}

  Kind kind_;
  std::int64_t value_;  // Seconds: from now (kRelative) or since 1970 (kDate); else 0.
};

}  // namespace tokenring
