// Sockets: addresses, listening, connecting. Thin, non-blocking, errors as std::error_code.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "policy/identity.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

// A socket address of any family.
struct Endpoint {
  sockaddr_storage address{};
  socklen_t length = 0;

  [[nodiscard]] int family() const noexcept { return address.ss_family; }
  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&address);
  }
};

// A listening socket that somebody else owns, and which of the addresses it is bound to.
struct Listener {
  int fd = -1;
  std::uint16_t address = 0;  // In the order of the configuration.
};

// Owns a file descriptor.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.release()) {}
  Fd& operator=(Fd&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Fd() { reset(-1); }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1) noexcept;

 private:
  int fd_ = -1;
};

// "host:port", "[v6]:port" or "unix:/path" as an address. Looks names up, so it may block. The
// error is one line without the address in front.
[[nodiscard]] Result<Endpoint, std::string> resolve(const std::string& address);

// A listening socket (SO_REUSEPORT: one per thread may listen on one address). Unless `shares`, an
// address that somebody listens on already is refused. A unix socket's path is taken over when
// nobody answers on it; any other file there stays (std::errc::not_a_socket). `mode`: of that file,
// at no time wider; without it the umask says.
[[nodiscard]] Result<Fd, std::error_code> listen_on(
    const Endpoint& endpoint, bool shares, std::optional<mode_t> mode = std::nullopt) noexcept;
// Gives the file of a unix socket another mode.
[[nodiscard]] std::error_code set_socket_mode(const Endpoint& endpoint, mode_t mode) noexcept;
// Makes this process the one that is known to listen on a unix socket (SO_PEERCRED).
[[nodiscard]] std::error_code listen_again(int fd) noexcept;
// Removes the file of a unix socket that this process listens on; nothing where there is none.
void remove_socket_file(const Endpoint& endpoint) noexcept;
// The operator's words for its errors.
[[nodiscard]] std::string why_not_listening(const std::error_code& error);

// Begins to connect; the socket is writable, or in error, when that is decided.
[[nodiscard]] Result<Fd, std::error_code> start_connect(const Endpoint& endpoint) noexcept;
// What became of it.
[[nodiscard]] std::error_code connect_result(int fd) noexcept;

void set_no_delay(int fd) noexcept;

// Who is at the other end of a connection, as far as the kernel knows.
[[nodiscard]] Peer describe_peer(int fd) noexcept;

// Reads what is there; the bytes read, 0 at the end, or -1 with errno.
[[nodiscard]] ssize_t receive(int fd, std::span<char> space) noexcept;
inline constexpr std::size_t kPiecesMax = 16;  // Pieces of one write.
// Sends the pieces, at most kPiecesMax; the bytes taken, or -1 with errno.
[[nodiscard]] ssize_t send_pieces(int fd, std::span<const std::string_view> pieces) noexcept;
// Whether errno says that the socket is empty or full.
[[nodiscard]] bool would_block() noexcept;

}  // namespace tokenring
