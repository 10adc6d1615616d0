// The worker's clients: accept, read, write, lose.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "io/worker.hpp"

namespace tokenring {

namespace {

constexpr int kReadsMax = 16;  // Reads of one socket in a row.
constexpr int kAcceptsMax = 64;
constexpr std::size_t kHoldBytesMax = std::size_t{16} << 10;
constexpr std::int64_t kHoldNsMax = 500'000;
constexpr std::int64_t kAcceptPauseMs = 100;

}  // namespace

// Generations are compared by the 28 bits that an event can carry.
Worker::ClientSocket* Worker::client_socket(ClientId id) noexcept {
  if (id.index >= clients_.size()) return nullptr;
  ClientSocket& socket = clients_[id.index];
  const bool same = ((socket.generation ^ id.generation) & 0xFFF'FFFF) == 0;
  return socket.fd && same ? &socket : nullptr;
}

void Worker::accept_clients(std::uint32_t listener) noexcept {
  if (listener >= listeners_.size()) return;  // It was let go in this very turn.
  for (int i = 0; i < kAcceptsMax; ++i) {
    Fd fd(::accept4(listeners_[listener].fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (would_block()) return;
      accept_error_ = errno;
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
        // Nothing can be accepted for a while; the listeners would only spin.
        unwatch_listeners();
        accept_paused_ = true;
        accept_again_ = now_.instant.plus_ms(kAcceptPauseMs);
      }
      return;
    }
    const std::uint16_t address = listeners_[listener].address;
    std::shared_ptr<const TlsContext> front = front_of(address);
    if (!has_room_for_client()) {
      if (front != nullptr) continue;
      const std::string_view line = line_of(WireError::kTooManyClients);
      static_cast<void>(::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
      continue;
    }
    set_no_delay(fd.get());
    if (front != nullptr)
      begin_handshake(std::move(fd), address, std::move(front));
    else
      add_client(std::move(fd), address, nullptr);
  }
}

// Counts the client that is refused where there is none.
bool Worker::has_room_for_client() noexcept {
  const std::size_t taken = engine_.client_count() + handshaking_;
  const std::size_t limit = options_.snapshot->limits.clients_per_worker_max;
  if (taken < std::min(limit, engine_.clients_max())) return true;
  count(Counter::kRejectedConnections);
  ++refused_clients_;
  return false;
}

void Worker::add_client(Fd fd, std::uint16_t address, std::unique_ptr<TlsSession> tls) noexcept {
  Peer peer;
  const bool asks = options_.snapshot->asks_who(address);
  if (asks || options_.snapshot->audit != nullptr) {
    peer = describe_peer(fd.get());
    if (asks && tls != nullptr) peer.certificate = tls->peer_names();
  }
  add_client(std::move(fd), address, std::move(tls), std::move(peer));
}

void Worker::add_client(Fd fd, std::uint16_t address, std::unique_ptr<TlsSession> tls,
                        Peer peer) noexcept {
  const ClientId id = engine_.open_client(address, std::move(peer));
  if (id.index >= clients_.size()) clients_.resize(id.index + 1);
  watch(fd.get(), Kind::kClient, id.index, id.generation, kReadable);
  ClientSocket& socket = clients_[id.index];
  socket.fd = std::move(fd);
  socket.tls = std::move(tls);
  socket.generation = id.generation;
  socket.unread = socket.blocked = false;
  if (socket.tls == nullptr) return;
  count(Counter::kTlsClients);
  read_client(id, false);  // The session may have read more than the handshake.
}

void Worker::handle_client(ClientId id, std::uint32_t events) noexcept {
  ClientSocket* socket = client_socket(id);
  if (socket == nullptr) return;
  id.generation = socket->generation;
  if ((events & EPOLLOUT) != 0 && socket->blocked) {
    block(*socket, Kind::kClient, id, false);
    flush_client(id);
  }
  // A session may have to write before it can read on.
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 || socket->tls != nullptr)
    read_client(id, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

// Reads until the socket is empty (a short read says so), the client may not be read on, or others
// have waited long enough. `to_the_end`: the peer's end is there too and has to be read.
void Worker::read_client(ClientId id, bool to_the_end) noexcept {
  for (int i = 0; i < kReadsMax; ++i) {
    ClientSocket* socket = client_socket(id);
    if (socket == nullptr) return;
    const std::span<char> space = engine_.client_space(id);
    if (space.empty()) {
      socket->unread = true;
      // A connection that is gone for good must not wait for its turn to be read.
      if (to_the_end && engine_.client_is_done(id)) lose_client(id);
      return;
    }
    const ssize_t n = receive_from(*socket, space);
    if (n == 0) return engine_.client_ended(id);
    if (n < 0) {
      if (would_block()) {
        if (socket->tls != nullptr && socket->tls->wants_write())
          block(*socket, Kind::kClient, id, true);
        return;
      }
      if (errno == EINTR) continue;
      return lose_client(id);
    }
    to_the_end |= socket->tls != nullptr && socket->tls->has_more();
    engine_.client_received(id, static_cast<std::size_t>(n), now_);
    if (static_cast<std::size_t>(n) < space.size() && !to_the_end) return;
  }
  if (ClientSocket* socket = client_socket(id); socket != nullptr) {
    socket->unread = true;
    engine_.outbox().read_clients.push_back(id);
  }
}

void Worker::lose_client(ClientId id) noexcept {
  ClientSocket* socket = client_socket(id);
  if (socket == nullptr) return;
  if (socket->tls != nullptr)
    options_.board->of_worker[options_.index].subtract(Counter::kTlsClients);
  close(*socket);
  engine_.client_lost(id);
}

// A client whose further replies are about to come is sent them together.
void Worker::flush_or_hold(ClientId id) noexcept {
  const ClientSocket* socket = client_socket(id);
  if (socket == nullptr || socket->blocked) return;
  if (engine_.client_is_settled(id) || engine_.client_sendable(id) >= kHoldBytesMax) {
    flush_client(id);
  } else {
    held_.push_back({id, now_.instant});
  }
}

void Worker::flush_held() noexcept {
  std::size_t kept = 0;
  for (const Held held : held_) {
    const bool due = now_.instant.ns - held.since.ns >= kHoldNsMax;
    if (due || engine_.client_is_settled(held.id) ||
        engine_.client_sendable(held.id) >= kHoldBytesMax) {
      flush_client(held.id);
    } else {
      held_[kept++] = held;
    }
  }
  held_.resize(kept);
}

void Worker::flush_client(ClientId id) noexcept {
  ClientSocket* socket = client_socket(id);
  if (socket == nullptr) return;
  while (const std::size_t count = engine_.client_output(id, pieces_)) {
    if (socket->blocked) return;
    const ssize_t n = send_to(*socket, std::span(pieces_).first(count));
    if (n < 0) {
      if (errno == EINTR) continue;
      if (!would_block()) return lose_client(id);
      block(*socket, Kind::kClient, id, true);
      return;
    }
    if (!engine_.client_sent(id, static_cast<std::size_t>(n))) return;
  }
  if (engine_.client_is_done(id)) lose_client(id);
}

}  // namespace tokenring
