// Runs the proxy until it is told to stop.
#pragma once

#include "app/config.hpp"

namespace tokenring {

// Returns the exit code. REQUIRES: `config` passed the checks of parse_config().
int run(const Config& config);

}  // namespace tokenring
