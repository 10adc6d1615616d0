// Puts an embedded node behind a TCP port of 127.0.0.1, so that tests can hold it against
// memcached. Prints the port, then serves until it is killed. For tests only: it blocks on a slow
// reader.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <ctime>
#include <list>
#include <string>
#include <vector>

#include "base/buffer.hpp"
#include "store/embedded_node.hpp"

namespace {

using namespace tokenring;

struct Connection {
  int fd;
  EmbeddedNode::Link link{};
  std::string in{};
};

int listen_on_any_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, generic, size) != 0 || listen(fd, 64) != 0) return -1;
  if (getsockname(fd, generic, &size) != 0) return -1;
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

bool send_all(int fd, OutQueue& out) {
  std::array<std::string_view, 1> piece;
  while (out.front(piece) > 0) {
    const ssize_t sent = send(fd, piece[0].data(), piece[0].size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    out.consume(static_cast<std::size_t>(sent));
  }
  return true;
}

// Returns false when the connection is over.
bool serve_once(Connection& connection, EmbeddedNode& node, BufferPool& pool) {
  std::array<char, 65536> scratch;
  const ssize_t got = recv(connection.fd, scratch.data(), scratch.size(), 0);
  if (got <= 0) return false;
  connection.in.append(scratch.data(), static_cast<std::size_t>(got));
  const UnixTime now{std::time(nullptr)};
  for (;;) {
    OutQueue out;
    const std::size_t used = node.serve(connection.link, connection.in, now, out, pool);
    connection.in.erase(0, used);
    if (!send_all(connection.fd, out)) return false;
    if (used == 0) return true;
  }
}

}  // namespace

int main() {
  EmbeddedNode node({});
  BufferPool pool;
  const int listener = listen_on_any_port();
  if (listener < 0) return 1;
  std::list<Connection> connections;
  for (;;) {
    std::vector<pollfd> waiting{{.fd = listener, .events = POLLIN, .revents = 0}};
    for (const Connection& c : connections)
      waiting.push_back({.fd = c.fd, .events = POLLIN, .revents = 0});
    if (poll(waiting.data(), waiting.size(), -1) < 0) return 1;
    std::size_t i = 1;
    for (auto c = connections.begin(); c != connections.end(); ++i) {
      const bool over = waiting[i].revents != 0 && !serve_once(*c, node, pool);
      if (over) close(c->fd);
      c = over ? connections.erase(c) : std::next(c);
    }
    if (waiting[0].revents != 0) connections.push_back({.fd = accept(listener, nullptr, nullptr)});
  }
}
