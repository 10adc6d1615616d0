#include "io/control.hpp"

#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <csignal>

namespace tokenring {

void wait_for_stop(const std::function<void()>& on_stop) {
  asio::io_context context(1);
  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&](const std::error_code&, int) { on_stop(); });
  context.run();
}

}  // namespace tokenring
