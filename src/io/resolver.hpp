// Resolver: looks names of nodes up, in threads of its own, so that nobody else waits for DNS.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tokenring/result.hpp"

namespace tokenring {

// Where "host:port" leads at present: numeric addresses of that form, the best first, without
// repetition. Blocks for as long as the system's resolver takes. The error is one line.
[[nodiscard]] Result<std::vector<std::string>, std::string> look_up(const std::string& address);

class Resolver {
 public:
  // Called in some thread of the resolver, or in that of who asks where there can be none. It must
  // not ask.
  using Done = std::function<void(const std::string& address,
                                  const Result<std::vector<std::string>, std::string>& found)>;

  explicit Resolver(Done done);
  // `done` is not called any more. Does not wait for a look-up that still runs.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // An address that is being looked up already is not asked for twice.
  void ask(const std::string& address);

 private:
  struct State;
  std::shared_ptr<State> state_;  // Shared with its threads, which may outlive it.
};

// Where workers could not connect to, for the control thread to take. Any thread.
class FailedPlaces {
 public:
  static constexpr std::size_t kMax = 1024;  // More at once are not kept: the next failure tells.

  void add(std::string_view place) noexcept;
  [[nodiscard]] std::vector<std::string> take() noexcept;

 private:
  std::mutex mutex_;
  std::vector<std::string> places_;
};

}  // namespace tokenring
