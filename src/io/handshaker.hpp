// Handshaker: makes TLS handshakes in a thread of its own, so that what they cost, and peers that
// take their time, are nobody else's matter.
//
// So many may be under way. When one more comes, the one that has waited longest for its peer is
// given up, if that is longer than kPatienceMs; else the new one is refused. Half-open connections
// thus keep nobody out for long, and what is beyond the thread's power is refused at once.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "io/socket.hpp"
#include "io/tls_session.hpp"
#include "proxy/engine.hpp"

namespace tokenring {

// One handshake: what it is to be made of, and then what came of it.
struct Handshake {
  enum class Outcome : std::uint8_t { kDone, kFailed, kRefused };

  Fd fd;
  std::shared_ptr<const TlsContext> context;
  std::int64_t timeout_ms = 0;
  std::uint16_t address = 0;  // Of a client: which of those in `listen` it came to.
  bool is_node = false;
  LinkId link = {};        // Of a node, like these two:
  std::string name = {};   // what its certificate has to be for, and
  std::string place = {};  // where it is.

  Outcome outcome = Outcome::kFailed;
  std::unique_ptr<TlsSession> session = nullptr;  // kDone.
  std::string problem = {};                       // kFailed.
};

class Handshaker {
 public:
  static constexpr std::int64_t kPatienceMs = 500;
  static constexpr int kNice = 5;  // Of the thread: whoever serves goes first.

  using Done = std::function<void(Handshake&&)>;

  explicit Handshaker(std::size_t under_way_max);
  ~Handshaker() { stop(); }
  Handshaker(const Handshaker&) = delete;
  Handshaker& operator=(const Handshaker&) = delete;

  // From any thread. `done` is called in the handshaker's, whatever comes of it, and must outlive
  // the handshaker. False: there is no room, and nothing was begun.
  [[nodiscard]] bool begin(Handshake handshake, const Done& done) noexcept;
  // Gives up what is under way; nobody is told. Nothing may be begun any more.
  void stop() noexcept;
  // From any thread.
  void set_max(std::size_t under_way_max) noexcept { under_way_max_ = under_way_max; }

 private:
  struct Job {
    Handshake handshake;
    const Done* done = nullptr;
  };
  struct UnderWay {
    Job job;
    std::int64_t deadline_ms = 0;
    std::int64_t moved_ms = 0;  // When its peer last got it any further.
    bool wants_write = false;
    std::list<UnderWay>::iterator place = {};
  };

  void run() noexcept;
  void take_inbox(std::int64_t now_ms) noexcept;
  void start(Job job, std::int64_t now_ms) noexcept;
  void step(UnderWay& one, std::int64_t now_ms) noexcept;
  void end(UnderWay& one, Handshake::Outcome outcome, std::string problem = {}) noexcept;
  void end_late(std::int64_t now_ms) noexcept;

  Fd epoll_;
  Fd wake_;
  std::atomic<std::size_t> under_way_max_;
  std::mutex mutex_;
  std::vector<Job> inbox_;
  bool stopping_ = false;
  std::list<UnderWay> under_way_;  // Who moved last is at the end.
  std::thread thread_;             // Started when there is something to do.
};

}  // namespace tokenring
