#include "io/handover.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>

namespace tokenring {

namespace {

constexpr std::size_t kSocketsPerMessage = 200;  // The kernel allows 253.
constexpr timeval kPatience{.tv_sec = 30, .tv_usec = 0};

std::error_code last_error() {
  return {errno, std::system_category()};
}

Result<Endpoint, std::error_code> endpoint_of(std::string_view name) {
  constexpr std::string_view kUnix = "unix:";
  Endpoint endpoint;
  auto* address = reinterpret_cast<sockaddr_un*>(&endpoint.address);
  const bool is_abstract = name.starts_with('@');
  const std::string_view path = name.substr(is_abstract ? 1 : kUnix.size());
  if (path.empty() || path.size() >= sizeof(address->sun_path))
    return unexpected(std::make_error_code(std::errc::filename_too_long));
  address->sun_family = AF_UNIX;
  // An abstract name begins with a NUL, and a path ends with one.
  std::memcpy(address->sun_path + (is_abstract ? 1 : 0), path.data(), path.size());
  endpoint.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return endpoint;
}

// A message of one byte and descriptors: room for both.
struct Message {
  char byte = '+';
  iovec piece{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(kSocketsPerMessage * sizeof(int))] = {};
  msghdr header{};

  Message() noexcept {
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
  }
};

void take_sockets(msghdr& header, std::vector<Fd>& into) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      into.emplace_back(fd);
    }
  }
}

Result<std::string, std::error_code> read_to_end(int fd) {
  std::string text;
  char piece[1024];
  while (true) {
    const ssize_t n = ::recv(fd, piece, sizeof piece, 0);
    if (n == 0) return text;
    if (n < 0 && errno == EINTR) continue;
    // One that hung up without having read all has still said what came before.
    if (n < 0 && errno == ECONNRESET && !text.empty()) return text;
    if (n < 0) return unexpected(last_error());
    text.append(piece, static_cast<std::size_t>(n));
  }
}

std::optional<ucred> credentials_of_peer(int fd) noexcept {
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return std::nullopt;
  return peer;
}

}  // namespace

bool is_trusted_peer(int fd) noexcept {
  const auto peer = credentials_of_peer(fd);
  return peer && (peer->uid == 0 || peer->uid == ::geteuid());
}

pid_t peer_of(int fd) noexcept {
  const auto peer = credentials_of_peer(fd);
  return peer ? peer->pid : 0;
}

Result<Fd, std::error_code> listen_for_control(const std::string& name) noexcept {
  const auto endpoint = endpoint_of(name);
  if (!endpoint) return unexpected(endpoint.error());
  return listen_on(*endpoint, false);
}

Result<Fd, std::error_code> connect_to_control(const std::string& name) noexcept {
  const auto endpoint = endpoint_of(name);
  if (!endpoint) return unexpected(endpoint.error());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), endpoint->get(), endpoint->length) != 0)
    return unexpected(last_error());
  if (!is_trusted_peer(fd.get()))
    return unexpected(std::make_error_code(std::errc::permission_denied));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  return fd;
}

Result<std::string, std::error_code> ask_control(int fd, std::string_view line) {
  const std::string text = std::string(line) + "\n";
  // Who refuses to listen hangs up, and has said why.
  if (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) < 0 && errno != EPIPE)
    return unexpected(last_error());
  return read_to_end(fd);
}

std::error_code send_sockets(int fd, std::span<const int> sockets) noexcept {
  while (!sockets.empty()) {
    const std::size_t count = std::min(sockets.size(), kSocketsPerMessage);
    Message message;
    message.header.msg_control = message.control;
    message.header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&message.header);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(part), sockets.data(), count * sizeof(int));
    if (::sendmsg(fd, &message.header, MSG_NOSIGNAL) < 0) return last_error();
    sockets = sockets.subspan(count);
  }
  return ::send(fd, ".", 1, MSG_NOSIGNAL) < 0 ? last_error() : std::error_code();
}

Result<std::vector<Fd>, std::string> receive_sockets(int fd) {
  constexpr std::string_view kRequest = "takeover\n";
  if (::send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL) < 0)
    return unexpected(last_error().message());
  std::vector<Fd> sockets;
  while (true) {
    Message message;
    message.header.msg_control = message.control;
    message.header.msg_controllen = sizeof message.control;
    const ssize_t n = ::recvmsg(fd, &message.header, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return unexpected(last_error().message());
    if (n == 0) return unexpected(std::string("the other process hung up"));
    take_sockets(message.header, sockets);
    if (message.byte == '.') return sockets;
    if (message.byte == '+') continue;
    const auto rest = read_to_end(fd);
    std::string error = message.byte + (rest ? *rest : std::string());
    error.erase(std::min(error.find('\n'), error.size()));
    return unexpected(std::move(error));
  }
}

std::vector<Fd> inherited_sockets() {
  constexpr int kFirst = 3;  // SD_LISTEN_FDS_START
  const auto number = [](const char* name) {
    const char* text = std::getenv(name);
    int value = 0;
    if (text != nullptr) std::from_chars(text, text + std::strlen(text), value);
    return value;
  };
  std::vector<Fd> sockets;
  if (number("LISTEN_PID") != ::getpid()) return sockets;
  for (int fd = kFirst; fd < kFirst + number("LISTEN_FDS"); ++fd) {
    if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) break;
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    sockets.emplace_back(fd);
  }
  for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) ::unsetenv(name);
  return sockets;
}

Endpoint bound_endpoint(int fd) noexcept {
  Endpoint endpoint;
  endpoint.length = sizeof endpoint.address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&endpoint.address), &endpoint.length) != 0)
    endpoint.length = 0;
  return endpoint;
}

bool is_same(const Endpoint& a, const Endpoint& b) noexcept {
  if (a.family() != b.family()) return false;
  if (a.family() == AF_INET) {
    const auto& x = reinterpret_cast<const sockaddr_in&>(a.address);
    const auto& y = reinterpret_cast<const sockaddr_in&>(b.address);
    return x.sin_port == y.sin_port && x.sin_addr.s_addr == y.sin_addr.s_addr;
  }
  if (a.family() == AF_INET6) {
    const auto& x = reinterpret_cast<const sockaddr_in6&>(a.address);
    const auto& y = reinterpret_cast<const sockaddr_in6&>(b.address);
    return x.sin6_port == y.sin6_port && x.sin6_scope_id == y.sin6_scope_id &&
           std::memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
  }
  return a.length == b.length && std::memcmp(&a.address, &b.address, a.length) == 0;
}

}  // namespace tokenring
