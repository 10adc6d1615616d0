#include "app/listeners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "io/handover.hpp"

namespace tokenring {

namespace {

std::vector<Fd> take_bound_to(const Endpoint& endpoint, std::vector<Fd>& given) {
  const auto others = std::stable_partition(given.begin(), given.end(), [&](const Fd& fd) {
    return !is_same(bound_endpoint(fd.get()), endpoint);
  });
  std::vector<Fd> taken(std::make_move_iterator(others), std::make_move_iterator(given.end()));
  given.erase(others, given.end());
  return taken;
}

// Adds sockets until every worker has one, as far as that goes.
void open_more(const std::string& address, const Endpoint& endpoint, std::uint32_t workers,
               std::optional<mode_t> mode, std::vector<Fd>& sockets) {
  const auto fail = [&](const std::error_code& error) {
    throw std::runtime_error(fmt::format("listen: {}: {}", address, why_not_listening(error)));
  };
  if (sockets.empty()) {
    // The first of several must not share the port with somebody else's process by accident.
    auto first = listen_on(endpoint, false, mode);
    if (!first) fail(first.error());
    sockets.push_back(std::move(first).value());
  } else if (mode) {
    if (const std::error_code error = set_socket_mode(endpoint, *mode)) fail(error);
  }
  while (endpoint.family() != AF_UNIX && sockets.size() < workers) {
    auto next = listen_on(endpoint, true);
    if (!next) return;
    sockets.push_back(std::move(next).value());
  }
}

}  // namespace

void open_listeners(const Config& config, std::uint32_t workers, std::vector<Fd> given,
                    Listeners& listeners) {
  const std::vector<std::string>& addresses = config.listen;
  listeners.of_worker.resize(workers);
  for (std::uint16_t n = 0; n < addresses.size(); ++n) {
    const std::string& address = addresses[n];
    const auto endpoint = resolve(address);
    if (!endpoint)
      throw std::runtime_error(fmt::format("listen: {}: {}", address, endpoint.error()));
    std::vector<Fd> sockets = take_bound_to(*endpoint, given);
    const bool is_ours = sockets.empty();
    open_more(address, *endpoint, workers, options_of(config, address).mode, sockets);
    if (is_ours) listeners.made.push_back(*endpoint);
    for (std::size_t i = 0; i < std::max<std::size_t>(sockets.size(), workers); ++i)
      listeners.of_worker[i % workers].push_back({sockets[i % sockets.size()].get(), n});
    std::move(sockets.begin(), sockets.end(), std::back_inserter(listeners.sockets));
  }
  listeners.left_out = given.size();
}

// The kernel says who listened last, and a successor of ours is to find us there.
void inherit_made(Listeners& listeners, pid_t predecessor) {
  if (predecessor <= 0) return;  // It is of another pid namespace.
  for (const Fd& fd : listeners.sockets) {
    const Endpoint endpoint = bound_endpoint(fd.get());
    if (endpoint.family() != AF_UNIX || peer_of(fd.get()) != predecessor) continue;
    if (listen_again(fd.get())) continue;
    listeners.made.push_back(endpoint);
  }
}

}  // namespace tokenring
