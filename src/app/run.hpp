// Runs the proxy until it is told to stop.
#pragma once

#include "app/command_line.hpp"
#include "app/config.hpp"

namespace tokenring {

// Returns the exit code. Throws std::exception, with one line for the operator, when the process
// cannot start. REQUIRES: `config` is what `line` comes to.
int run(const CommandLine& line, const Config& config);

}  // namespace tokenring
