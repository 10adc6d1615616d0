#include "ring/node_name.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace tokenring {
namespace {

constexpr std::string_view kDefaultPort = "11211";

// An address taken apart. Borrows from it.
struct Parts {
  bool unix_socket = false;
  std::string_view host;  // Without brackets; the path of a Unix socket; "embedded".
  std::string_view port;
  bool ip = false;  // `host` is an IP address.
};

bool is_ipv4(std::string_view host) {
  return std::count(host.begin(), host.end(), '.') == 3 &&
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

Parts parts_of(std::string_view address) {
  constexpr std::string_view kUnix = "unix:";
  if (address.starts_with(kUnix)) return {true, address.substr(kUnix.size()), "", false};
  const std::size_t colon = address.rfind(':');
  const std::size_t bracket = address.rfind(']');
  const bool has_port =
      colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  std::string_view host = has_port ? address.substr(0, colon) : address;
  const std::string_view port = has_port ? address.substr(colon + 1) : kDefaultPort;
  const bool v6 = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (v6) host = host.substr(1, host.size() - 2);
  return {false, host, port, v6 || is_ipv4(host)};
}

std::string unless_default_port(const Parts& parts) {
  if (parts.port == kDefaultPort) return std::string(parts.host);
  return fmt::format("{}:{}", parts.host, parts.port);
}

}  // namespace

std::optional<std::string> whole_address_name(std::string_view address) {
  return std::string(address);
}

std::optional<std::string> libmemcached_name(std::string_view address) {
  const Parts parts = parts_of(address);
  if (parts.unix_socket) return fmt::format("{}:0", parts.host);
  return unless_default_port(parts);
}

std::optional<std::string> twemproxy_name(std::string_view address) {
  const Parts parts = parts_of(address);
  if (parts.unix_socket) return fmt::format("{}:", parts.host);
  return unless_default_port(parts);
}

std::optional<std::string> host_port_name(std::string_view address) {
  const Parts parts = parts_of(address);
  if (parts.unix_socket) return std::string(parts.host);
  return fmt::format("{}:{}", parts.host, parts.port);
}

std::optional<std::string> spymemcached_name(std::string_view address) {
  const Parts parts = parts_of(address);
  if (!parts.ip) return std::nullopt;
  return fmt::format("{}:{}", parts.host, parts.port);
}

std::optional<std::string> xmemcached_name(std::string_view address) {
  const Parts parts = parts_of(address);
  if (!parts.ip) return std::nullopt;
  return fmt::format("/{}:{}", parts.host, parts.port);
}

std::optional<std::string> evcache_name(std::string_view address) {
  const Parts parts = parts_of(address);
  if (!parts.ip) return std::nullopt;
  return fmt::format("{0}/{0}:11211", parts.host);
}

std::optional<std::string> mcproxy_evcache_name(std::string_view address) {
  const Parts parts = parts_of(address);
  if (parts.unix_socket) return std::nullopt;
  return fmt::format("{0}/{0}:{1}", parts.host, parts.port);
}

}  // namespace tokenring
