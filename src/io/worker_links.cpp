// The worker's links to nodes: connect, read, write; and the nodes that are in this process.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "io/worker.hpp"

namespace tokenring {

namespace {

std::string why_not_connected(const std::error_code& error) {
  return "connect: " + error.message();
}

}  // namespace

Worker::LinkSocket* Worker::link_socket(LinkId id) noexcept {
  if (id.index >= links_.size()) return nullptr;
  LinkSocket& socket = links_[id.index];
  const bool same = ((socket.generation ^ id.generation) & 0xFFF'FFFF) == 0;
  return socket.fd && same ? &socket : nullptr;
}

void Worker::open_link(LinkId id) noexcept {
  if (id.index >= links_.size()) links_.resize(id.index + 1);
  LinkSocket& socket = links_[id.index];
  close(socket);
  socket.generation = id.generation;
  socket.blocked = socket.shaking = false;
  socket.embedded_input.clear();
  socket.embedded_state = {};
  if (!engine_.wants_link(id)) return;
  const NodeAddress& node = (*options_.nodes)[engine_.link_backend(id)];
  socket.embedded = node.embedded;
  if (node.embedded != nullptr) return engine_.link_connected(id, now_);
  socket.place = node.place;
  socket.node_tls = node.tls;
  if (node.endpoint.length == 0) return engine_.link_lost(id, now_, node.problem);
  auto fd = start_connect(node.endpoint);
  if (!fd) {
    tell_failed(socket);
    return engine_.link_lost(id, now_, why_not_connected(fd.error()));
  }
  socket.fd = std::move(fd).value();
  socket.connecting = true;
  watch(socket.fd.get(), Kind::kLink, id.index, id.generation, kWritable);
}

void Worker::close_link(LinkId id) noexcept {
  if (id.index < links_.size() && links_[id.index].shaking) {
    LinkSocket& shaking = links_[id.index];
    if (shaking.generation == id.generation) shaking.shaking = false;
    return;
  }
  LinkSocket* socket = link_socket(id);
  if (socket == nullptr) return;
  if (socket->connecting) tell_failed(*socket);
  socket->connecting = false;
  close(*socket);
}

// A name may lead elsewhere by now.
void Worker::tell_failed(const LinkSocket& socket) noexcept {
  if (options_.failed_places != nullptr) options_.failed_places->add(socket.place);
}

void Worker::handle_link(LinkId id, std::uint32_t events) noexcept {
  LinkSocket* socket = link_socket(id);
  if (socket == nullptr) return;
  id.generation = socket->generation;
  if (socket->connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    if (const std::error_code error = connect_result(socket->fd.get()))
      return engine_.link_lost(id, now_, why_not_connected(error));
    socket->connecting = false;
    if (socket->node_tls.context != nullptr) return begin_link_handshake(id);
    block(*socket, Kind::kLink, id, false);
    engine_.link_connected(id, now_);
  }
  if ((events & EPOLLOUT) != 0 && socket->blocked) {
    block(*socket, Kind::kLink, id, false);
    flush_link(id);
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 || socket->tls != nullptr)
    read_link(id, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

void Worker::read_link(LinkId id, bool to_the_end) noexcept {
  while (true) {
    LinkSocket* socket = link_socket(id);
    const std::span<char> space = engine_.link_space(id);
    if (socket == nullptr || space.empty()) return;
    const ssize_t n = receive_from(*socket, space);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && would_block()) {
      if (socket->tls != nullptr && socket->tls->wants_write())
        block(*socket, Kind::kLink, id, true);
      return;
    }
    if (n == 0) return engine_.link_lost(id, now_, "it closed the connection");
    if (n < 0) return engine_.link_lost(id, now_, why_lost(*socket));
    to_the_end |= socket->tls != nullptr && socket->tls->has_more();
    engine_.link_received(id, static_cast<std::size_t>(n), now_);
    if (socket->tls != nullptr && engine_.link_owes_nothing(id)) socket->tls->rest();
    if (static_cast<std::size_t>(n) < space.size() && !to_the_end) return;
  }
}

void Worker::flush_link(LinkId id) noexcept {
  if (id.index < links_.size() && links_[id.index].embedded != nullptr) return serve_embedded(id);
  LinkSocket* socket = link_socket(id);
  if (socket == nullptr) return;
  while (OutQueue* out = engine_.link_output(id)) {
    if (socket->blocked || socket->connecting) return;
    const std::size_t count = out->front(pieces_);
    const ssize_t n = send_to(*socket, std::span(pieces_).first(count));
    if (n < 0) {
      if (errno == EINTR) continue;
      if (!would_block()) return engine_.link_lost(id, now_, why_lost(*socket));
      block(*socket, Kind::kLink, id, true);
      return;
    }
    out->consume(static_cast<std::size_t>(n));
  }
}

// The in-process node: the same bytes, without a socket.
void Worker::serve_embedded(LinkId id) noexcept {
  LinkSocket& socket = links_[id.index];
  EmbeddedStore& store = *socket.embedded;
  std::string& input = socket.embedded_input;
  while (OutQueue* out = engine_.link_output(id)) {
    while (!out->empty()) {
      const std::size_t count = out->front(pieces_);
      for (std::size_t i = 0; i < count; ++i) {
        input += pieces_[i];
        out->consume(pieces_[i].size());
      }
    }
    std::string_view requests = input;
    while (!requests.empty()) {
      OutQueue replies;
      std::size_t served = 0;
      {
        const std::lock_guard lock(store.mutex);
        served = store.node.serve(socket.embedded_state, requests, now_.unix_time, replies,
                                  engine_.pool());
      }
      requests.remove_prefix(served);
      if (served == 0 || !receive_embedded(id, replies)) break;
    }
    input.erase(0, input.size() - requests.size());
  }
}

// False when the engine wants no more from this link.
bool Worker::receive_embedded(LinkId id, OutQueue& replies) noexcept {
  while (!replies.empty()) {
    const std::span<char> space = engine_.link_space(id);
    if (space.empty()) return false;
    std::array<std::string_view, 1> piece;
    static_cast<void>(replies.front(piece));
    const std::size_t n = piece[0].copy(space.data(), space.size());
    replies.consume(n);
    engine_.link_received(id, n, now_);
  }
  return true;
}

}  // namespace tokenring
