// Addresses: where to listen and where nodes are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tokenring/result.hpp"

namespace tokenring {

struct Address {
  enum class Kind : std::uint8_t { kTcp, kUnix, kEmbedded };

  Kind kind = Kind::kTcp;
  std::string host;        // A name, or an IP address without brackets. kTcp only.
  std::uint16_t port = 0;  // 1 to 65535. kTcp only.
  std::string path;        // Absolute. kUnix only.
  bool is_name = false;    // `host` has to be looked up. kTcp only.
};

// From "host:port", "[v6]:port" or "unix:/path"; a node may be "embedded" as well. The error reads
// "what is wrong; what would be right".
[[nodiscard]] Result<Address, std::string> parse_listen_address(std::string_view text);
[[nodiscard]] Result<Address, std::string> parse_node_address(std::string_view text);

// Whether only this host reaches it, as far as the text tells: a unix socket or a loopback address.
[[nodiscard]] bool is_local(const Address& address);

}  // namespace tokenring
