// Names: which addresses of nodes are names, what they came to, and when to look them up again.
//
// No I/O and no clock: the supervisor asks the resolver and tells what it found.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.hpp"
#include "tokenring/result.hpp"
#include "tokenring/units.hpp"

namespace tokenring {

class NameBook {
 public:
  // A name that could not be found, or whose node fails, is looked up again no sooner than this.
  static constexpr std::int64_t kRetryMs = 5'000;

  // The names of this configuration's nodes from now on. What is known of them stays.
  void use(const Config& config, Instant now);

  // Names whose time has come. Their next time is set, as if nothing were to be found.
  [[nodiscard]] std::vector<std::string> take_due(Instant now);
  // Whether every name has had an answer, be it that there is none.
  [[nodiscard]] bool all_answered() const noexcept;

  struct Change {
    bool changed = false;   // Some node is to be reached elsewhere.
    std::string line = {};  // What to tell the operator; empty: nothing new.
    bool is_problem = false;
  };
  // A name that cannot be found keeps the addresses that it had.
  [[nodiscard]] Change answer(const std::string& name,
                              const Result<std::vector<std::string>, std::string>& found,
                              Instant now);
  // Nobody could connect to `place`. A name that leads there is looked up soon; if it has several
  // addresses and stands for one node, the next of them is tried.
  [[nodiscard]] Change failed(std::string_view place, Instant now);

  // Why a name has no address; empty: it has some, or nobody has answered yet.
  [[nodiscard]] std::string problem(std::string_view name) const;

  [[nodiscard]] const Names& names() const noexcept { return names_; }

 private:
  struct Entry {
    std::int64_t every_ms = 0;
    Instant due;
    Instant failed_at;  // When a failure last led to something.
    bool had_failure = false;
    bool answered = false;
    std::string problem;  // Told already.
  };

  std::map<std::string, Entry, std::less<>> entries_;
  Names names_;  // Of those that were found.
};

}  // namespace tokenring
