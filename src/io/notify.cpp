#include "io/notify.hpp"

#include <sys/time.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string>

namespace tokenring {

namespace {

std::string take_variable(const char* name) {
  const char* const text = std::getenv(name);
  std::string value = text == nullptr ? "" : text;
  ::unsetenv(name);
  return value;
}

std::int64_t number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : 0;
}

// "/path", or "@name" for an abstract socket. Length 0: neither.
Endpoint manager_at(const std::string& name) {
  Endpoint endpoint;
  auto& address = reinterpret_cast<sockaddr_un&>(endpoint.address);
  if (name.size() < 2 || name.size() >= sizeof address.sun_path) return endpoint;
  if (name[0] != '/' && name[0] != '@') return endpoint;
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name[0] == '@') address.sun_path[0] = '\0';
  endpoint.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  return endpoint;
}

}  // namespace

Notifier::Notifier(bool takes_over) : manager_(manager_at(take_variable("NOTIFY_SOCKET"))) {
  const std::string watched = take_variable("WATCHDOG_PID");
  watchdog_us_ = number(take_variable("WATCHDOG_USEC"));
  if (watchdog_us_ < 0 || (!watched.empty() && !takes_over && number(watched) != ::getpid()))
    watchdog_us_ = 0;
  if (manager_.length == 0) return;
  socket_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval wait{.tv_sec = kWaitS, .tv_usec = 0};
  if (socket_) ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
}

bool Notifier::tell(std::string_view lines) const noexcept {
  return is_on() && ::sendto(socket_.get(), lines.data(), lines.size(), MSG_NOSIGNAL,
                             manager_.get(), manager_.length) >= 0;
}

}  // namespace tokenring
