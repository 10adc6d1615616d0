// Handover: how one process finds another, asks it something, and gets its listening sockets.
//
// A control socket is named "unix:/path", or "@name" for an abstract one, which has no file and is
// gone with its process. A takeover goes on one connection:
//
//   successor    takeover\n
//   predecessor  messages of one byte `+` with descriptors (SCM_RIGHTS), then one byte `.`;
//                or a line that begins with `error: `
//   successor    go\n, once it serves
//   predecessor  ok\n, with its control socket closed; then it drains, if it does not yet
//
// A successor that ends before it says `go` changes nothing; until then files of unix sockets stay.
// Functions here block, for seconds at most.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "io/socket.hpp"
#include "tokenring/result.hpp"

namespace tokenring {

// Whether the other end of a unix socket is root or of this process's user.
[[nodiscard]] bool is_trusted_peer(int fd) noexcept;
// The process at that end, or of a unix socket that listens the one that listened last; 0 where the
// kernel does not say.
[[nodiscard]] pid_t peer_of(int fd) noexcept;

[[nodiscard]] Result<Fd, std::error_code> listen_for_control(const std::string& name) noexcept;
// Refuses a process of another user, unless it is root's.
[[nodiscard]] Result<Fd, std::error_code> connect_to_control(const std::string& name) noexcept;

// Sends a line and reads until the end of the stream.
[[nodiscard]] Result<std::string, std::error_code> ask_control(int fd, std::string_view line);

[[nodiscard]] std::error_code send_sockets(int fd, std::span<const int> sockets) noexcept;
// The successor's first half: asks for the sockets. The error is one line.
[[nodiscard]] Result<std::vector<Fd>, std::string> receive_sockets(int fd);

// The sockets that systemd's socket activation gave to this process (sd_listen_fds(3)),
// non-blocking. Call once, before threads are started.
[[nodiscard]] std::vector<Fd> inherited_sockets();

// The address that a socket is bound to; of length 0 where there is none.
[[nodiscard]] Endpoint bound_endpoint(int fd) noexcept;
[[nodiscard]] bool is_same(const Endpoint& a, const Endpoint& b) noexcept;

}  // namespace tokenring
