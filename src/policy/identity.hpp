// Identities: who a client is, from what is known of its connection and from its login.
//
// An identity is recognised by a login, a certificate's name, the user of a unix socket's peer or
// the network that the connection comes from. Each of the first three is enough by itself;
// networks are enough where nothing else is asked for, and else narrow it down.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenring/result.hpp"

namespace tokenring {

// An IPv6 address, or an IPv4 one as ::ffff:a.b.c.d, in the order of the wire.
using PeerAddress = std::array<std::uint8_t, 16>;

// The other end of a client's connection.
struct Peer {
  enum class Kind : std::uint8_t { kUnknown, kInternet, kUnix, kInside };

  Kind kind = Kind::kUnknown;
  PeerAddress address{};   // kInternet.
  std::uint16_t port = 0;  // kInternet.
  std::uint32_t uid = 0;   // kUnix: who the kernel says it was that connected,
  std::uint32_t pid = 0;   // and in which process.
  // kInside: no socket's, but of this process itself: who made it ask.
  std::string asker = {};
  // What its certificate, which was verified, says: CN=NAME, DNS:NAME, URI:ID.
  std::vector<std::string> certificate = {};
};

// For the log: "10.0.0.1:40312", "[::1]:40312", "uid 1000 pid 4711", and who made us ask.
[[nodiscard]] std::string text_of(const Peer& peer);

// Addresses that begin with the same bits.
struct Network {
  PeerAddress address{};
  std::uint8_t bits = 0;  // Of the 16 bytes; of IPv4's 32 the last ones.

  [[nodiscard]] bool has(const PeerAddress& other) const noexcept;
  friend bool operator==(const Network&, const Network&) = default;
};

// Where IPv4 lies in it (RFC 4291, 2.5.5.2).
inline constexpr Network kIpv4{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}, 96};

// "10.1.0.0/16", "fd00::/8" or an address alone. The error reads "what is wrong; what would be
// right".
[[nodiscard]] Result<Network, std::string> parse_network(std::string_view text);

// How an identity is recognised.
struct Recognition {
  std::vector<std::string> users;
  std::vector<std::string> certificates;
  std::vector<std::uint32_t> uids;
  std::vector<Network> networks;

  [[nodiscard]] bool needs_proof() const noexcept {
    return !users.empty() || !certificates.empty() || !uids.empty();
  }
  // Whether the peer comes from where it has to.
  [[nodiscard]] bool admits(const Peer& peer) const noexcept {
    return networks.empty() || bits_of(peer).has_value();
  }
  // How well the peer itself, without a login, fits: by its certificate, by its user, by as many
  // bits of its network, or not at all (0).
  [[nodiscard]] unsigned fit(const Peer& peer) const noexcept;
  [[nodiscard]] bool fits_user(std::string_view user, const Peer& peer) const noexcept;

  static constexpr unsigned kByUser = 1'000;
  static constexpr unsigned kByCertificate = 1'001;

 private:
  // Of the narrowest network that has the peer.
  [[nodiscard]] std::optional<unsigned> bits_of(const Peer& peer) const noexcept;
};

}  // namespace tokenring
