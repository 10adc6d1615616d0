// Control: the process's own thread beside the workers. Waits for signals, on Asio.
#pragma once

#include <functional>

namespace tokenring {

// Calls `on_stop` for SIGINT or SIGTERM and returns. Signals must be blocked in no thread.
void wait_for_stop(const std::function<void()>& on_stop);

}  // namespace tokenring
