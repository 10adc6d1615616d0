#include "app/run.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <csignal>
#include <memory>
#include <random>
#include <system_error>
#include <thread>
#include <vector>

#include "io/clock.hpp"
#include "io/control.hpp"
#include "io/log.hpp"
#include "io/worker.hpp"

namespace tokenring {

namespace {

// A failure to start, in one line for the operator, which main() begins with our name.
[[noreturn]] void refuse(const std::string& line) {
  throw std::runtime_error(line);
}

// The kernel's limit on descriptors is raised as far as it lets us: each client and link is one.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

StoreOptions store_options(const Config& config) {
  StoreOptions options;
  options.bytes_max = config.embedded_memory_bytes;
  options.item_bytes_max = config.limits.value_bytes_max;
  options.hash_seed = (std::uint64_t{std::random_device()()} << 32) | std::random_device()();
  return options;
}

// Each node's address, by backend. Names are looked up here, before anything is served.
std::vector<NodeAddress> reach_nodes(const Config& config, const Snapshot& snapshot) {
  std::vector<NodeAddress> nodes;
  for (const Pool& pool : snapshot.pools) {
    for (const NodeSpec& node : pool.nodes) {
      NodeAddress& reached = nodes.emplace_back();
      if (node.address == "embedded") {
        reached.embedded = std::make_shared<EmbeddedStore>(store_options(config));
        continue;
      }
      const auto endpoint = resolve(node.address);
      if (!endpoint)
        refuse(fmt::format("pools.{}.nodes: {}: {}", pool.name, node.address, endpoint.error()));
      reached.endpoint = *endpoint;
    }
  }
  return nodes;
}

// Opens every listening address: a socket per worker, so that the kernel spreads the clients. A
// unix socket is one, which all workers share.
std::vector<std::vector<Fd>> open_listeners(const Config& config, std::uint32_t workers) {
  std::vector<std::vector<Fd>> of_worker(workers);
  for (const std::string& address : config.listen) {
    const auto endpoint = resolve(address);
    if (!endpoint) refuse(fmt::format("listen: {}: {}", address, endpoint.error()));
    const std::uint32_t sockets = endpoint->family() == AF_UNIX ? 1 : workers;
    for (std::uint32_t i = 0; i < sockets; ++i) {
      // The first of several must not share the port with somebody else's process by accident.
      auto fd = listen_on(*endpoint, i > 0);
      if (!fd) refuse(fmt::format("listen: {}: {}", address, fd.error().message()));
      of_worker[i].push_back(std::move(fd).value());
    }
  }
  return of_worker;
}

}  // namespace

int run(const Config& config) {
  ::signal(SIGPIPE, SIG_IGN);
  set_log_level(config.log_level);
  raise_descriptor_limit();
  const auto snapshot = make_snapshot(config);
  if (!snapshot) refuse(snapshot.error());
  const std::uint32_t count = worker_count(config);
  const auto nodes =
      std::make_shared<const std::vector<NodeAddress>>(reach_nodes(config, **snapshot));
  const auto listeners = open_listeners(config, count);
  CounterBoard board(count);

  std::vector<std::unique_ptr<Worker>> workers;
  for (std::uint32_t i = 0; i < count; ++i) {
    WorkerOptions options;
    options.index = i;
    options.snapshot = *snapshot;
    options.nodes = nodes;
    for (const Fd& fd : listeners[i]) options.listeners.push_back(fd.get());
    options.board = &board;
    options.started_s = read_clock().unix_time.seconds;
    options.coalesce_max_ns = config.coalesce_max_us * 1000;
    workers.push_back(std::make_unique<Worker>(std::move(options)));
  }
  log_event(LogLevel::kInfo, LogEvent::kProcess, "listening on {}, {} worker{}",
            fmt::join(config.listen, ", "), count, count == 1 ? "" : "s");
  std::vector<std::thread> threads;
  for (const auto& worker : workers) threads.emplace_back([&worker] { worker->run(); });
  wait_for_stop([&] {
    for (const auto& worker : workers) worker->stop();
  });
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace tokenring
