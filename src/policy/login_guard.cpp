#include "policy/login_guard.hpp"

#include <xxhash.h>

#include <algorithm>

namespace tokenring {

std::uint64_t LoginGuard::name_of(const Peer& peer) const noexcept {
  std::array<std::uint8_t, 17> text{};
  text[0] = static_cast<std::uint8_t>(peer.kind);
  if (peer.kind == Peer::Kind::kUnix) {
    for (std::size_t i = 0; i < 4; ++i) text[1 + i] = static_cast<std::uint8_t>(peer.uid >> 8 * i);
  } else {
    const std::size_t bytes = kIpv4.has(peer.address) ? 16 : 8;
    std::copy_n(peer.address.begin(), bytes, text.begin() + 1);
  }
  return std::max<std::uint64_t>(1, XXH3_64bits_withSeed(text.data(), text.size(), seed_));
}

LoginGuard::Place* LoginGuard::find(std::uint64_t name, Instant now) noexcept {
  for (Place& place : places_[name % places_.size()]) {
    if (place.name != name) continue;
    if (now >= place.last.plus_ms(kForgetMs)) place = {};
    return place.name == 0 ? nullptr : &place;
  }
  return nullptr;
}

bool LoginGuard::admits(const Peer& peer, Instant now) noexcept {
  const std::lock_guard lock(mutex_);
  const Place* place = find(name_of(peer), now);
  return place == nullptr || now >= place->until;
}

void LoginGuard::failed(const Peer& peer, Instant now) noexcept {
  const std::lock_guard lock(mutex_);
  const std::uint64_t name = name_of(peer);
  Place* place = find(name, now);
  if (place == nullptr) {
    auto& bucket = places_[name % places_.size()];
    const auto quietness = [](const Place& one) {
      return one.name == 0 ? INT64_MIN : std::max(one.last.ns, one.until.ns);
    };
    place = &*std::min_element(bucket.begin(), bucket.end(), [&](const Place& a, const Place& b) {
      return quietness(a) < quietness(b);
    });
    *place = {.name = name};
  }
  place->last = now;
  if (++place->failures <= kFreeFailures) return;
  const std::uint32_t doublings = std::min<std::uint32_t>(place->failures - kFreeFailures - 1, 16);
  place->until = now.plus_ms(std::min(kFirstMs << doublings, kLongestMs));
}

}  // namespace tokenring
