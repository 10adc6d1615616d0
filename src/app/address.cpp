#include "app/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "app/spelling.hpp"

namespace tokenring {

namespace {

constexpr std::size_t kHostBytesMax = 253;  // RFC 1035, 2.3.4, in its textual form.
constexpr std::size_t kPathBytesMax = sizeof(sockaddr_un::sun_path) - 1;

using Parsed = Result<Address, std::string>;

bool is_ip(int family, std::string_view host) {
  in6_addr storage{};
  if (host.find('\0') != std::string_view::npos) return false;
  return inet_pton(family, std::string(host).c_str(), &storage) == 1;
}

// An IPv6 address with or without a zone, as in fe80::1%eth0.
bool is_ipv6(std::string_view host) {
  const std::size_t percent = host.find('%');
  if (percent != std::string_view::npos && percent + 1 == host.size()) return false;
  return is_ip(AF_INET6, host.substr(0, percent));
}

bool is_name(std::string_view host) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  return !host.empty() && host.size() <= kHostBytesMax && host.front() != '.' &&
         host.front() != '-' && std::all_of(host.begin(), host.end(), fits);
}

Parsed parse_unix(std::string_view text, std::string_view path) {
  if (!path.starts_with('/')) {
    return unexpected(
        fmt::format("{} has no absolute path; give \"unix:/run/node.sock\"", quoted(text)));
  }
  const auto is_control = [](char c) { return (c >= 0 && c < ' ') || c == 0x7F; };
  if (path.size() > kPathBytesMax || std::any_of(path.begin(), path.end(), is_control)) {
    return unexpected(
        fmt::format("{} is no path for a socket; give one of at most {} bytes that print",
                    quoted(text), kPathBytesMax));
  }
  return Address{.kind = Address::Kind::kUnix, .host = {}, .path = std::string(path)};
}

// Port 0 is none: each worker's socket would get another one.
std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0) return std::nullopt;
  return port;
}

Parsed parse_tcp(std::string_view text, std::string_view forms) {
  const bool bracketed = text.starts_with('[');
  const std::size_t close = bracketed ? text.find(']') : 0;
  const auto malformed = [&] {
    return unexpected(fmt::format("{} is not an address; give {}", quoted(text), forms));
  };
  if (text.empty() || close == std::string_view::npos) return malformed();

  const std::size_t colon = text.find(':', close);
  const std::string_view host = bracketed ? text.substr(1, close - 1) : text.substr(0, colon);
  if (!bracketed && is_ip(AF_INET6, text)) {
    return unexpected(fmt::format("{} is an IPv6 address without brackets; give \"[{}]:11211\"",
                                  quoted(text), text));
  }
  if (bracketed ? !is_ipv6(host) : !is_name(host)) return malformed();
  if (bracketed && colon != close + 1 && close + 1 != text.size()) return malformed();
  if (parse_port(text)) {
    return unexpected(fmt::format("{} has no host; give \"127.0.0.1:{}\"", quoted(text), text));
  }
  if (!bracketed && host.find_first_not_of("0123456789.") == std::string_view::npos &&
      !is_ip(AF_INET, host)) {
    return unexpected(
        fmt::format("{} is not an IPv4 address; give four numbers of 0 to 255", quoted(host)));
  }
  if (colon == std::string_view::npos) {
    return unexpected(fmt::format("{} has no port; give \"{}:11211\"", quoted(text), text));
  }
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) {
    return unexpected(fmt::format("{} has no valid port; give one of 1 to 65535", quoted(text)));
  }
  return Address{.kind = Address::Kind::kTcp,
                 .host = std::string(host),
                 .port = *port,
                 .path = {},
                 .is_name = !bracketed && !is_ip(AF_INET, host)};
}

Parsed parse(std::string_view text, std::string_view forms) {
  constexpr std::string_view kUnix = "unix:";
  if (text.starts_with(kUnix)) return parse_unix(text, text.substr(kUnix.size()));
  return parse_tcp(text, forms);
}

}  // namespace

Result<Address, std::string> parse_listen_address(std::string_view text) {
  return parse(text, R"("host:port", "[v6]:port" or "unix:/path")");
}

Result<Address, std::string> parse_node_address(std::string_view text) {
  if (text == "embedded") return Address{.kind = Address::Kind::kEmbedded, .host = {}, .path = {}};
  return parse(text, R"("host:port", "[v6]:port", "unix:/path" or "embedded")");
}

bool is_local(const Address& address) {
  if (address.kind != Address::Kind::kTcp) return true;
  in_addr v4{};
  if (inet_pton(AF_INET, address.host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, address.host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace tokenring
