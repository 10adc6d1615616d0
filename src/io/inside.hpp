// A client of our own: asks a worker from within the process to delete keys. Keys of owners go by
// their whole names, with the mark.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "tokenring/result.hpp"

namespace tokenring {

class Worker;

// Sends `requests` in the name of `asker` and waits for `lines` lines of answers, `timeout_ms` at
// most: not for a worker's thread. The error is one line.
[[nodiscard]] Result<std::string, std::string> ask_worker(Worker& worker, std::string asker,
                                                          std::string_view requests,
                                                          std::size_t lines,
                                                          std::int64_t timeout_ms);

}  // namespace tokenring
