// Asker: asks authorization servers whether tokens are good (RFC 7662), in a thread of its own, for
// all workers. Whoever asks the same while that is under way, or was a moment ago, shares the
// answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "io/audit_queue.hpp"
#include "io/socket.hpp"
#include "policy/snapshot.hpp"
#include "proxy/outbox.hpp"

namespace tokenring {

class Asker {
 public:
  // Of each endpoint: questions that wait for their turn. Beyond that they are not asked.
  static constexpr std::size_t kWaitingMax = 4096;
  // An answer is given to those that ask so soon after it, for what they missed was looked for
  // before it was stored.
  static constexpr std::int64_t kHoldMs = 1'000;
  static constexpr std::size_t kHeldMax = 4096;

  // `answer`: null where there is none. Called once, in the asker's thread.
  using Done = std::function<void(const std::string* answer, bool may_store)>;

  // `audit` outlives it: is told of answers that nobody is to believe, where the log is on. Null:
  // nobody is.
  // Throws std::system_error where there is no descriptor for it.
  explicit Asker(AuditQueue* audit = nullptr);
  // Nobody is answered any more.
  ~Asker();
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  // From any thread; the first question starts the asker's own. REQUIRES: the namespace asks, or
  // the question forgets; then `done` is not called. `snapshot` is the one that numbers its spaces.
  void ask(std::shared_ptr<const Snapshot> snapshot, Question question, Done done) noexcept;

 private:
  struct Letter {
    std::shared_ptr<const Snapshot> snapshot;
    Question question;
    Done done;
  };
  class Desk;

  void run() noexcept;
  [[nodiscard]] std::vector<Letter> take_letters() noexcept;

  AuditQueue* audit_;
  std::mutex mutex_;
  std::vector<Letter> letters_;
  bool stops_ = false;
  Fd wake_;
  std::thread thread_;
};

}  // namespace tokenring
