// Port: a small server beside the workers, in a thread of its own, on Asio. Each connection is one
// request and its answer, whole, and then ends.
//
// Whatever comes there stays bounded: connections, bytes and time have limits, nothing waits for a
// slow peer, and when there are too many connections the one that is longest without a whole
// request, or else longest there, makes room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "io/socket.hpp"
#include "io/tls.hpp"

namespace tokenring {

class Port {
 public:
  static constexpr std::size_t kConnectionsMax = 64;
  static constexpr std::size_t kRequestBytesMax = 8 << 10;
  static constexpr std::int64_t kRequestMs = 5'000;         // For a request to come.
  static constexpr std::int64_t kAnswerMs = 10'000;         // For its answer to be taken.
  static constexpr std::int64_t kLingerMs = 1'000;          // For the peer to close after that.
  static constexpr std::size_t kLingerBytesMax = 64 << 10;  // Of what it sends meanwhile.

  struct Caller {
    std::string address;    // For the log.
    bool is_known = false;  // It showed a certificate that is good.
  };
  // The answer to what was received so far; nothing: more must come. An empty one closes.
  // `is_full`: no more will come. Called in the port's thread.
  using Handler = std::function<std::optional<std::string>(std::string_view received, bool is_full,
                                                           const Caller& caller)>;

  explicit Port(Handler handler);
  // Ends the thread; connections are cut.
  ~Port();
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  // Once, and again after it failed or after close().
  // `mode`: as of listen_on().
  [[nodiscard]] std::error_code listen(const Endpoint& endpoint, std::optional<mode_t> mode);
  // How connections from now on are spoken with; null: in plain, as before the first call.
  void set_tls(std::shared_ptr<const TlsContext> tls);
  // Nobody is let in from now on; the address is free when it returns.
  void close();
  // Runs in the port's thread, after what was posted before.
  void post(std::function<void()> task);

 private:
  struct State;
  class Session;
  std::unique_ptr<State> state_;
};

}  // namespace tokenring
