// `tokenring reload|drain|stop|status`: asks the process that runs with the same configuration.
#pragma once

#include <ostream>
#include <string_view>

#include "app/command_line.hpp"

namespace tokenring {

// Returns the exit code: 1 when it could not be asked or could not do it.
int ask(const CommandLine& line, std::string_view command, std::ostream& out, std::ostream& errors);

}  // namespace tokenring
