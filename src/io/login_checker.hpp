// LoginChecker: holds passwords against salted hashes in a thread of its own, for that takes longer
// than a worker may stand still.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "proxy/session.hpp"

namespace tokenring {

class LoginChecker {
 public:
  // Called in the checker's thread; where there can be none, within ask(), and the login fails: who
  // cannot be checked is not let in.
  using Done = std::function<void(LoginJob job)>;

  LoginChecker() = default;
  ~LoginChecker() { stop(); }
  LoginChecker(const LoginChecker&) = delete;
  LoginChecker& operator=(const LoginChecker&) = delete;

  // From any thread. One that comes after stop() is never done. How many wait is bounded by the
  // workers' engines.
  void ask(LoginJob job, Done done);
  // No `done` is called any more, or still runs.
  void stop() noexcept;

 private:
  struct Entry {
    LoginJob job;
    Done done;
  };

  [[nodiscard]] bool has_thread() noexcept;  // Makes it with the first job.
  void work() noexcept;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Entry> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tokenring
