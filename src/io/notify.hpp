// Notify: tells the service manager how the process is, as sd_notify(3) has it: a datagram of lines
// NAME=VALUE to the socket that $NOTIFY_SOCKET names.
#pragma once

#include <cstdint>
#include <string_view>

#include "io/socket.hpp"

namespace tokenring {

class Notifier {
 public:
  // Reads NOTIFY_SOCKET and WATCHDOG_USEC, and takes them out of the environment, so that no child
  // speaks for this process. WATCHDOG_PID may name another process where this one `takes_over`.
  // REQUIRES: there are no other threads yet.
  explicit Notifier(bool takes_over);

  [[nodiscard]] bool is_on() const noexcept { return static_cast<bool>(socket_); }
  // Within this time WATCHDOG=1 must come again and again. 0: nobody watches.
  [[nodiscard]] std::int64_t watchdog_us() const noexcept { return is_on() ? watchdog_us_ : 0; }
  // False when the manager did not take it; waits kWaitS at most.
  bool tell(std::string_view lines) const noexcept;

  static constexpr int kWaitS = 1;

 private:
  Endpoint manager_;
  Fd socket_;  // None: there is no manager.
  std::int64_t watchdog_us_ = 0;
};

}  // namespace tokenring
