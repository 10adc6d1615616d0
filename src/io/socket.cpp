#include "io/socket.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace tokenring {

namespace {

constexpr std::string_view kUnixPrefix = "unix:";
constexpr int kBacklog = 4096;

std::error_code last_error() {
  return {errno, std::system_category()};
}

Result<Endpoint, std::string> unix_endpoint(std::string_view path) {
  Endpoint endpoint;
  auto* address = reinterpret_cast<sockaddr_un*>(&endpoint.address);
  if (path.empty() || path.size() >= sizeof(address->sun_path))
    return unexpected(std::string("socket path is empty or too long"));
  address->sun_family = AF_UNIX;
  std::memcpy(address->sun_path, path.data(), path.size());
  endpoint.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return endpoint;
}

// The file of a unix socket that is named by one; null for all others.
const char* file_of(const Endpoint& endpoint) noexcept {
  const auto* address = reinterpret_cast<const sockaddr_un*>(&endpoint.address);
  return endpoint.family() == AF_UNIX && address->sun_path[0] != '\0' ? address->sun_path : nullptr;
}

// A socket file that nobody listens on is a leftover. Whatever else is there is not ours to remove.
std::error_code remove_stale_socket(const Endpoint& endpoint) {
  const char* const file = file_of(endpoint);
  struct stat there {};
  if (file == nullptr || ::lstat(file, &there) != 0) return {};
  if (!S_ISSOCK(there.st_mode)) return std::make_error_code(std::errc::not_a_socket);
  Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (probe && ::connect(probe.get(), endpoint.get(), endpoint.length) != 0 &&
      errno == ECONNREFUSED) {
    ::unlink(file);
  }
  return {};
}

// SO_REUSEPORT would let two processes of one user listen side by side and share the clients.
bool is_taken(const Endpoint& endpoint) {
  Fd probe(::socket(endpoint.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return probe && ::bind(probe.get(), endpoint.get(), endpoint.length) != 0 && errno == EADDRINUSE;
}

}  // namespace

void Fd::reset(int fd) noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

Result<Endpoint, std::string> resolve(const std::string& address) {
  if (address.starts_with(kUnixPrefix))
    return unix_endpoint(std::string_view(address).substr(kUnixPrefix.size()));
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return unexpected(std::string("has no port"));
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
  if (failure != 0) return unexpected(std::string(::gai_strerror(failure)));
  Endpoint endpoint;
  std::memcpy(&endpoint.address, found->ai_addr, found->ai_addrlen);
  endpoint.length = found->ai_addrlen;
  ::freeaddrinfo(found);
  return endpoint;
}

Result<Fd, std::error_code> listen_on(const Endpoint& endpoint, bool shares,
                                      std::optional<mode_t> mode) noexcept {
  if (endpoint.family() == AF_UNIX) {
    if (const std::error_code error = remove_stale_socket(endpoint)) return unexpected(error);
  } else if (!shares && is_taken(endpoint)) {
    return unexpected(std::make_error_code(std::errc::address_in_use));
  }
  Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return unexpected(last_error());
  const int on = 1;
  if (endpoint.family() != AF_UNIX) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
  }
  // The file gets the socket's mode, less the umask.
  if (mode && ::fchmod(fd.get(), *mode) != 0) return unexpected(last_error());
  if (::bind(fd.get(), endpoint.get(), endpoint.length) != 0) return unexpected(last_error());
  if (mode)
    if (const std::error_code error = set_socket_mode(endpoint, *mode)) return unexpected(error);
  if (::listen(fd.get(), kBacklog) != 0) return unexpected(last_error());
  return fd;
}

std::error_code set_socket_mode(const Endpoint& endpoint, mode_t mode) noexcept {
  const char* const file = file_of(endpoint);
  return file != nullptr && ::chmod(file, mode) != 0 ? last_error() : std::error_code();
}

std::error_code listen_again(int fd) noexcept {
  return ::listen(fd, kBacklog) != 0 ? last_error() : std::error_code();
}

void remove_socket_file(const Endpoint& endpoint) noexcept {
  const char* const file = file_of(endpoint);
  struct stat there {};
  if (file == nullptr || ::lstat(file, &there) != 0) return;
  if (S_ISSOCK(there.st_mode)) ::unlink(file);
}

std::string why_not_listening(const std::error_code& error) {
  return error == std::errc::not_a_socket ? "exists and is no socket" : error.message();
}

Result<Fd, std::error_code> start_connect(const Endpoint& endpoint) noexcept {
  Fd fd(::socket(endpoint.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return unexpected(last_error());
  if (endpoint.family() != AF_UNIX) set_no_delay(fd.get());
  if (::connect(fd.get(), endpoint.get(), endpoint.length) != 0 && errno != EINPROGRESS &&
      errno != EAGAIN)
    return unexpected(last_error());
  return fd;
}

std::error_code connect_result(int fd) noexcept {
  int error = 0;
  socklen_t length = sizeof(error);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) return last_error();
  return {error, std::system_category()};
}

void set_no_delay(int fd) noexcept {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

Peer describe_peer(int fd) noexcept {
  Peer peer;
  Endpoint other;
  other.length = sizeof(other.address);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&other.address), &other.length) != 0)
    return peer;
  if (other.family() == AF_UNIX) {
    ucred user{};
    socklen_t length = sizeof(user);
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &length) != 0) return peer;
    peer.kind = Peer::Kind::kUnix;
    peer.uid = user.uid;
    peer.pid = static_cast<std::uint32_t>(user.pid);
  } else if (other.family() == AF_INET) {
    const auto* const address = reinterpret_cast<const sockaddr_in*>(&other.address);
    peer.kind = Peer::Kind::kInternet;
    peer.address = kIpv4.address;
    std::memcpy(&peer.address[kIpv4.bits / 8], &address->sin_addr, 4);
    peer.port = ntohs(address->sin_port);
  } else if (other.family() == AF_INET6) {
    const auto* const address = reinterpret_cast<const sockaddr_in6*>(&other.address);
    peer.kind = Peer::Kind::kInternet;
    std::memcpy(peer.address.data(), &address->sin6_addr, peer.address.size());
    peer.port = ntohs(address->sin6_port);
  }
  return peer;
}

// recv() and send() are points of cancellation, which no thread of ours needs and which a program
// of several threads pays for at each call.

ssize_t receive(int fd, std::span<char> space) noexcept {
  return ::syscall(SYS_recvfrom, fd, space.data(), space.size(), 0, nullptr, nullptr);
}

ssize_t send_pieces(int fd, std::span<const std::string_view> pieces) noexcept {
  if (pieces.size() == 1)
    return ::syscall(SYS_sendto, fd, pieces[0].data(), pieces[0].size(), MSG_NOSIGNAL, nullptr, 0);
  std::array<iovec, kPiecesMax> vectors;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = pieces.size();
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

bool would_block() noexcept {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace tokenring
