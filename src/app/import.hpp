// `tokenring import`: what a twemproxy (nutcracker) configuration comes to here.
#pragma once

#include <string>
#include <string_view>

#include "tokenring/result.hpp"

namespace tokenring {

// A configuration that passes the checks of parse_config(), with a comment for whatever could not
// be carried over. `pool` names the one to take; it may be empty where there is only one. twemproxy
// listens per pool, and tokenring per process, so each pool becomes a file. The error is one line
// that begins with `file_name`.
[[nodiscard]] Result<std::string, std::string> import_twemproxy(std::string_view yaml,
                                                                std::string_view file_name,
                                                                std::string_view pool);

}  // namespace tokenring
