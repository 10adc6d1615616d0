// Listeners: the sockets that clients connect to, and which worker watches which.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "app/config.hpp"
#include "io/socket.hpp"

namespace tokenring {

struct Listeners {
  std::vector<Fd> sockets;
  std::vector<std::vector<Listener>> of_worker;  // Borrowed from `sockets`.
  std::vector<Endpoint> made;  // Those that nobody gave, but made here: their files are ours.
  std::size_t left_out = 0;    // Of the given ones: no address of `listen` is theirs.
};

// A socket per worker for each address of `config.listen`, so that the kernel spreads the clients;
// the `given` ones, from a predecessor or from systemd, come first. Where there cannot be as many
// (a unix socket, another's socket), workers share. Throws std::runtime_error with one line for the
// operator; `listeners`, which begins empty, then has what was opened before.
void open_listeners(const Config& config, std::uint32_t workers, std::vector<Fd> given,
                    Listeners& listeners);

// Counts the unix sockets that process `predecessor`, which gave them up, had made as made here;
// not those that it was given.
void inherit_made(Listeners& listeners, pid_t predecessor);

}  // namespace tokenring
