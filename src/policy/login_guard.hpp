// LoginGuard: makes those wait who try passwords.
//
// After a few failed logins from one place, further ones from there are refused unseen, for a time
// that doubles with each failure up to a bound. A place is an IPv4 address, the first 64 bits of an
// IPv6 one, or a user of this host. Workers share it; it is locked, but only logins come here.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>

#include "policy/identity.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

class LoginGuard {
 public:
  static constexpr std::uint32_t kFreeFailures = 5;
  static constexpr std::int64_t kFirstMs = 500;
  static constexpr std::int64_t kLongestMs = 30'000;
  // Without a failure for so long, a place begins anew.
  static constexpr std::int64_t kForgetMs = 300'000;
  static constexpr std::size_t kPlacesMax = 4'096;  // The quietest of a few gives way.

  // `seed`: nobody outside knows it, so nobody can tell which places share a bucket.
  explicit LoginGuard(std::uint64_t seed) noexcept : seed_(seed) {}

  [[nodiscard]] bool admits(const Peer& peer, Instant now) noexcept;
  void failed(const Peer& peer, Instant now) noexcept;

 private:
  static constexpr std::size_t kWays = 8;

  struct Place {
    std::uint64_t name = 0;  // 0: nobody.
    std::uint32_t failures = 0;
    Instant last = {};   // Failure.
    Instant until = {};  // Refused.
  };

  [[nodiscard]] std::uint64_t name_of(const Peer& peer) const noexcept;
  // Its place, or null; one that is to be forgotten is free.
  [[nodiscard]] Place* find(std::uint64_t name, Instant now) noexcept;

  std::uint64_t seed_;
  std::mutex mutex_;
  std::array<std::array<Place, kWays>, kPlacesMax / kWays> places_{};
};

}  // namespace tokenring
