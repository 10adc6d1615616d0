#include "policy/identity.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace tokenring {

namespace {

// Whether all bits of the address behind the first `bits` are zero.
bool ends_in_zeros(const PeerAddress& address, unsigned bits) {
  for (unsigned i = bits; i < 128; ++i)
    if ((address[i / 8] >> (7 - i % 8) & 1) != 0) return false;
  return true;
}

}  // namespace

std::string text_of(const Peer& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  switch (peer.kind) {
    case Peer::Kind::kUnknown:
      break;
    case Peer::Kind::kUnix:
      return fmt::format("uid {} pid {}", peer.uid, peer.pid);
    case Peer::Kind::kInside:
      return peer.asker;
    case Peer::Kind::kInternet:
      if (kIpv4.has(peer.address)) {
        ::inet_ntop(AF_INET, peer.address.data() + kIpv4.bits / 8, text.data(), text.size());
        return fmt::format("{}:{}", text.data(), peer.port);
      }
      ::inet_ntop(AF_INET6, peer.address.data(), text.data(), text.size());
      return fmt::format("[{}]:{}", text.data(), peer.port);
  }
  return "unknown";
}

bool Network::has(const PeerAddress& other) const noexcept {
  const unsigned whole = bits / 8;
  if (!std::equal(address.begin(), address.begin() + whole, other.begin())) return false;
  const unsigned rest = bits % 8;
  return rest == 0 || ((address[whole] ^ other[whole]) >> (8 - rest)) == 0;
}

Result<Network, std::string> parse_network(std::string_view text) {
  const auto bad = [&](std::string_view what) {
    return unexpected(fmt::format("\"{}\" {}", text, what));
  };
  constexpr std::string_view kNone =
      "is no network; give one such as \"10.1.0.0/16\" or \"fd00::/8\"";
  const std::size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  Network network;
  const bool is_v6 = host.find(':') != std::string::npos;
  network.address = is_v6 ? PeerAddress{} : kIpv4.address;
  std::uint8_t* const to = network.address.data() + (is_v6 ? 0 : kIpv4.bits / 8);
  if (host.size() != std::strlen(host.c_str()) ||
      ::inet_pton(is_v6 ? AF_INET6 : AF_INET, host.c_str(), to) != 1)
    return bad(kNone);
  const unsigned bits_max = is_v6 ? 128 : 32;
  unsigned bits = bits_max;
  if (slash != std::string_view::npos) {
    const std::string_view number = text.substr(slash + 1);
    const auto end = std::from_chars(number.data(), number.data() + number.size(), bits);
    if (end.ec != std::errc() || end.ptr != number.data() + number.size() || bits > bits_max)
      return bad(kNone);
  }
  bits += 128 - bits_max;
  if (!ends_in_zeros(network.address, bits))
    return bad("has bits set behind its prefix; give the first address of the network");
  network.bits = static_cast<std::uint8_t>(bits);
  return network;
}

std::optional<unsigned> Recognition::bits_of(const Peer& peer) const noexcept {
  std::optional<unsigned> most;
  if (peer.kind != Peer::Kind::kInternet) return most;
  for (const Network& network : networks)
    if (network.has(peer.address)) most = std::max<unsigned>(most.value_or(0), network.bits);
  return most;
}

unsigned Recognition::fit(const Peer& peer) const noexcept {
  if (!admits(peer)) return 0;
  const auto is_among = [](const auto& all, const auto& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  for (const std::string& name : peer.certificate)
    if (is_among(certificates, name)) return kByCertificate;
  if (peer.kind == Peer::Kind::kUnix && is_among(uids, peer.uid)) return kByUser;
  // One more, for a network may have no bits: all addresses.
  return needs_proof() || networks.empty() ? 0 : 1 + bits_of(peer).value_or(0);
}

bool Recognition::fits_user(std::string_view user, const Peer& peer) const noexcept {
  return admits(peer) && std::find(users.begin(), users.end(), user) != users.end();
}

}  // namespace tokenring
