// `tokenring top`: the admin page in a terminal. Asks the admin port of a process for its numbers,
// again and again.
#pragma once

#include <ostream>
#include <string>

#include "app/config.hpp"

namespace tokenring {

struct TopOptions {
  std::string admin;        // Where the admin port is; empty: where the file says.
  std::string token_file;   // Empty: the file's.
  std::string authorities;  // PEM of who may have signed its certificate; empty: by the file.
  bool once = false;        // Print one screen and end.
  double interval_s = 2;    // Between two readings.
};

// Returns the exit code: 1, and a line on `errors`, where nobody answers at the start. Without a
// terminal to draw on it prints one screen to `out`, as with `once`.
int top(const TopOptions& options, const Config& config, std::ostream& out, std::ostream& errors);

}  // namespace tokenring
