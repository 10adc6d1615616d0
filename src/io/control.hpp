// Control: the process's own thread beside the workers, on Asio: signals, timers, the control
// socket.
//
// The control socket takes one request per connection, a line, and answers with text and the end of
// the stream. Only root and the process's own user may ask. `takeover` is served here (see
// handover.hpp for its exchange); all other commands are the owner's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace tokenring {

struct ControlHandlers {
  // Called once, in the control thread, at once or later.
  using Reply = std::function<void(std::string text)>;

  std::function<void(int signal)> on_signal;  // SIGHUP, SIGINT, SIGTERM, SIGUSR1.
  std::function<void()> on_second;            // Every second.
  // `asker`: "uid 0 pid 4711".
  std::function<void(std::string_view command, std::string asker, Reply reply)> on_command;
  // The sockets for a successor; none: it may not take over now.
  std::function<std::vector<int>()> on_takeover;
  // The successor, a process of this id, serves from them, and the control socket is closed. What
  // this process does meanwhile is its own matter: it may drain already.
  std::function<void(pid_t successor)> on_taken_over;
};

// Handlers run in the thread that runs run(), one at a time.
class Control {
 public:
  static constexpr std::size_t kLineBytesMax = 8192 + 64;
  static constexpr std::size_t kSessionsMax = 16;
  static constexpr std::int64_t kRequestMs = 5'000;    // For the line to come.
  static constexpr std::int64_t kTakeoverMs = 60'000;  // For a successor to start.

  explicit Control(ControlHandlers handlers);
  ~Control();
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  // Serves at "unix:/path" or "@name" (see handover.hpp).
  [[nodiscard]] std::error_code listen(const std::string& name);
  // Until end(). Lets exceptions of handlers through.
  void run();

  // From any thread.
  void end();
  void post(std::function<void()> task);
  // From a handler.
  void after(std::int64_t ms, std::function<void()> task);
  // From a handler, or when run() has ended. Whether a successor has the sockets, and may still say
  // that it serves.
  [[nodiscard]] bool is_in_takeover() const;

 private:
  struct State;
  class Session;
  std::unique_ptr<State> state_;
};

}  // namespace tokenring
