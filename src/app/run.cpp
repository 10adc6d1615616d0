#include "app/run.hpp"

#include <sys/resource.h>

#include <csignal>

#include "app/supervisor.hpp"
#include "io/log.hpp"

namespace tokenring {

namespace {

// The kernel's limit on descriptors is raised as far as it lets us: each client and link is one.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int run(const CommandLine& line, const Config& config) {
  ::signal(SIGPIPE, SIG_IGN);
  set_log_level(config.log_level);
  raise_descriptor_limit();
  Supervisor(line, config).run();
  tell_dropped_lines();
  log_event(LogLevel::kInfo, LogEvent::kProcess, "stopped");
  return 0;
}

}  // namespace tokenring
