#include "io/inside.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "io/clock.hpp"
#include "io/worker.hpp"

namespace tokenring {

Result<std::string, std::string> ask_worker(Worker& worker, std::string asker,
                                            std::string_view requests, std::size_t lines,
                                            std::int64_t timeout_ms) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
    return unexpected(std::string(std::strerror(errno)));
  const Fd ours(pair[0]);
  worker.take_client(Fd(pair[1]), std::move(asker));
  const Instant deadline = read_clock().instant.plus_ms(timeout_ms);
  std::string answer;
  while (static_cast<std::size_t>(std::count(answer.begin(), answer.end(), '\n')) < lines) {
    const std::int64_t left_ms = (deadline.ns - read_clock().instant.ns) / 1'000'000;
    if (left_ms <= 0) return unexpected(std::string("no answer in time"));
    const short wanted = static_cast<short>(POLLIN | (requests.empty() ? 0 : POLLOUT));
    pollfd polled{.fd = ours.get(), .events = wanted, .revents = 0};
    if (::poll(&polled, 1, static_cast<int>(left_ms)) < 0 && errno != EINTR)
      return unexpected(std::string(std::strerror(errno)));
    if (!requests.empty()) {
      const ssize_t sent = ::send(ours.get(), requests.data(), requests.size(), MSG_NOSIGNAL);
      if (sent > 0) requests.remove_prefix(static_cast<std::size_t>(sent));
    }
    std::array<char, 4096> piece;
    const ssize_t got = ::recv(ours.get(), piece.data(), piece.size(), 0);
    if (got == 0) return unexpected(std::string("this process is ending"));
    if (got > 0) answer.append(piece.data(), static_cast<std::size_t>(got));
  }
  return answer;
}

}  // namespace tokenring
