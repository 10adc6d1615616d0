// Ring names: how each implementation writes a node in the strings it hashes.
//
// A rule returns the name, or nothing when it cannot be known from the address; the operator then
// has to give it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tokenring {

using NodeNameRule = std::optional<std::string> (*)(std::string_view address);

// The address as it stands.
[[nodiscard]] std::optional<std::string> whole_address_name(std::string_view address);
// `host` for port 11211, else `host:port`; `path:0` for a Unix socket, as add_unix_socket() has it.
[[nodiscard]] std::optional<std::string> libmemcached_name(std::string_view address);
// The same, but for `path:`, which is what twemproxy's parser leaves of a Unix socket.
[[nodiscard]] std::optional<std::string> twemproxy_name(std::string_view address);
// `host:port` or `path`.
[[nodiscard]] std::optional<std::string> host_port_name(std::string_view address);
// `ip:port`, `/ip:port` and `ip/ip:11211`: what a Java client prints for an address without reverse
// DNS. Host names resolve to more than that, and Unix sockets it does not know.
[[nodiscard]] std::optional<std::string> spymemcached_name(std::string_view address);
[[nodiscard]] std::optional<std::string> xmemcached_name(std::string_view address);
[[nodiscard]] std::optional<std::string> evcache_name(std::string_view address);
// `host/host:port`.
[[nodiscard]] std::optional<std::string> mcproxy_evcache_name(std::string_view address);

}  // namespace tokenring
