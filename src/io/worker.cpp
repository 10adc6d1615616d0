#include "io/worker.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "io/clock.hpp"

namespace tokenring {

namespace {

constexpr int kEventsMax = 256;  // Events taken from the kernel at once.
constexpr int kRoundsMax = 8;    // Times the ready list is taken before anything is sent.
constexpr int kReadsMax = 16;    // Reads of one socket in a row.
constexpr int kAcceptsMax = 64;
constexpr std::size_t kPiecesMax = 64;  // Pieces of one write.
constexpr std::size_t kHoldBytesMax = std::size_t{16} << 10;
constexpr std::int64_t kHoldNsMax = 500'000;
constexpr std::int64_t kAcceptPauseMs = 100;

constexpr std::uint64_t packed(std::uint8_t kind, std::uint32_t index, std::uint32_t generation) {
  return std::uint64_t{kind} << 60 | std::uint64_t{generation & 0xFFF'FFFF} << 32 | index;
}

std::system_error refused(const char* what) {
  return std::system_error(errno, std::system_category(), what);
}

// Sends the pieces; the bytes taken, or -1 with errno.
ssize_t send_pieces(int fd, std::span<const std::string_view> pieces) {
  if (pieces.size() == 1) return ::send(fd, pieces[0].data(), pieces[0].size(), MSG_NOSIGNAL);
  std::array<iovec, kPiecesMax> vectors;
  for (std::size_t i = 0; i < pieces.size(); ++i)
    vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = pieces.size();
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace

Worker::Worker(WorkerOptions options)
    : options_(std::move(options)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      now_(read_clock()),
      engine_(options_.snapshot,
              {.seed = static_cast<std::uint64_t>(now_.instant.ns) * 0x9E3779B97F4A7C15 +
                       options_.index,
               .worker = options_.index,
               .board = options_.board,
               .counters = &options_.board->of_worker[options_.index],
               .started_s = options_.started_s},
              now_),
      pacer_(options_.coalesce_max_ns) {
  if (!epoll_ || !wake_) throw refused("cannot create an epoll set");
  watch(wake_.get(), Kind::kWake, 0, 0, EPOLLIN);
  for (std::uint32_t i = 0; i < options_.listeners.size(); ++i)
    watch(options_.listeners[i], Kind::kListener, i, 0, EPOLLIN);
}

void Worker::stop() noexcept {
  stopping_.store(true, std::memory_order_relaxed);
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_.get(), &one, sizeof(one)));
}

// The loop: wait, take all that is ready, then send what that led to, each socket once.
void Worker::run() noexcept {
  ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);  // Else short waits take 50 us more.
  std::array<epoll_event, kEventsMax> events;
  carry_out();
  while (!stopping_.load(std::memory_order_relaxed)) {
    gather();
    int count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, wait_ms());
    now_ = read_clock();
    for (int round = 0; count > 0; ++round) {
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        handle(event.data.u64, event.events);
      }
      // A full list says that there is more.
      if (count < kEventsMax || round == kRoundsMax) break;
      count = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, 0);
    }
    if (now_.instant >= next_tick_) {
      engine_.tick(now_);
      next_tick_ = now_.instant.plus_ms(Engine::kTickMs);
      if (accept_paused_ && now_.instant >= accept_again_) {
        accept_paused_ = false;
        for (std::uint32_t i = 0; i < options_.listeners.size(); ++i)
          watch(options_.listeners[i], Kind::kListener, i, 0, EPOLLIN);
      }
    }
    carry_out();
    flush_held();
  }
}

int Worker::wait_ms() const noexcept {
  if (!held_.empty()) return 1;
  return static_cast<int>(Engine::kTickMs);
}

void Worker::gather() noexcept {
  pacer_.observe(now_.instant.ns, engine_.requests_sent(), engine_.response_ns());
  const std::int64_t wait = pacer_.wait_ns(engine_.in_flight());
  if (wait == 0) return;
  const timespec pause{.tv_sec = 0, .tv_nsec = wait};
  ::nanosleep(&pause, nullptr);
}

void Worker::handle(std::uint64_t data, std::uint32_t events) noexcept {
  const auto index = static_cast<std::uint32_t>(data);
  const auto generation = static_cast<std::uint32_t>(data >> 32) & 0xFFF'FFFF;
  switch (static_cast<Kind>(data >> 60)) {
    case Kind::kListener:
      return accept_clients(index);
    case Kind::kWake: {
      std::uint64_t ignored = 0;
      static_cast<void>(::read(wake_.get(), &ignored, sizeof(ignored)));
      return;
    }
    case Kind::kClient:
      return handle_client({index, generation}, events);
    case Kind::kLink:
      return handle_link({index, generation}, events);
  }
}

void Worker::watch(int fd, Kind kind, std::uint32_t index, std::uint32_t generation,
                   std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  event.data.u64 = packed(static_cast<std::uint8_t>(kind), index, generation);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

// Generations are compared by the 28 bits that an event can carry.
Worker::ClientSocket* Worker::client_socket(ClientId id) noexcept {
  if (id.index >= clients_.size()) return nullptr;
  ClientSocket& socket = clients_[id.index];
  const bool same = ((socket.generation ^ id.generation) & 0xFFF'FFFF) == 0;
  return socket.fd && same ? &socket : nullptr;
}

Worker::LinkSocket* Worker::link_socket(LinkId id) noexcept {
  if (id.index >= links_.size()) return nullptr;
  LinkSocket& socket = links_[id.index];
  const bool same = ((socket.generation ^ id.generation) & 0xFFF'FFFF) == 0;
  return socket.fd && same ? &socket : nullptr;
}

// ---- Clients

void Worker::accept_clients(std::uint32_t listener) noexcept {
  for (int i = 0; i < kAcceptsMax; ++i) {
    Fd fd(::accept4(options_.listeners[listener], nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
        // Nothing can be accepted for a while; the listeners would only spin.
        for (const int l : options_.listeners) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, l, nullptr);
        accept_paused_ = true;
        accept_again_ = now_.instant.plus_ms(kAcceptPauseMs);
        return;
      }
      if (errno == ECONNABORTED || errno == EINTR) continue;
      return;
    }
    if (engine_.client_count() >= options_.snapshot->limits.clients_per_worker_max) {
      options_.board->of_worker[options_.index].add(Counter::kRejectedConnections);
      const std::string_view line = line_of(WireError::kTooManyClients);
      static_cast<void>(::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
      continue;
    }
    set_no_delay(fd.get());
    const ClientId id = engine_.open_client();
    if (id.index >= clients_.size()) clients_.resize(id.index + 1);
    watch(fd.get(), Kind::kClient, id.index, id.generation,
          EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    ClientSocket& socket = clients_[id.index];
    socket.fd = std::move(fd);
    socket.generation = id.generation;
    socket.unread = socket.blocked = false;
  }
}

void Worker::handle_client(ClientId id, std::uint32_t events) noexcept {
  ClientSocket* socket = client_socket(id);
  if (socket == nullptr) return;
  id.generation = socket->generation;
  if ((events & EPOLLOUT) != 0 && socket->blocked) {
    socket->blocked = false;
    flush_client(id);
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
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
    const ssize_t n = ::recv(socket->fd.get(), space.data(), space.size(), 0);
    if (n == 0) return engine_.client_ended(id);
    if (n < 0) {
      if (would_block()) return;
      if (errno == EINTR) continue;
      return lose_client(id);
    }
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
  socket->fd.reset();
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
  std::array<std::string_view, kPiecesMax> pieces;
  while (const std::size_t count = engine_.client_output(id, pieces)) {
    if (socket->blocked) return;
    const ssize_t n = send_pieces(socket->fd.get(), std::span(pieces).first(count));
    if (n < 0) {
      if (errno == EINTR) continue;
      if (!would_block()) return lose_client(id);
      socket->blocked = true;
      return;
    }
    engine_.client_sent(id, static_cast<std::size_t>(n));
  }
  if (engine_.client_is_done(id)) lose_client(id);
}

// ---- Links

void Worker::open_link(LinkId id) noexcept {
  if (id.index >= links_.size()) links_.resize(id.index + 1);
  LinkSocket& socket = links_[id.index];
  socket.fd.reset();
  socket.generation = id.generation;
  socket.blocked = false;
  socket.embedded_input.clear();
  socket.embedded_state = {};
  const NodeAddress& node = (*options_.nodes)[engine_.link_backend(id)];
  if (node.embedded != nullptr) return engine_.link_connected(id, now_);
  auto fd = start_connect(node.endpoint);
  if (!fd) return engine_.link_lost(id, now_);
  socket.fd = std::move(fd).value();
  socket.connecting = true;
  watch(socket.fd.get(), Kind::kLink, id.index, id.generation,
        EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

void Worker::handle_link(LinkId id, std::uint32_t events) noexcept {
  LinkSocket* socket = link_socket(id);
  if (socket == nullptr) return;
  id.generation = socket->generation;
  if (socket->connecting && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    if (connect_result(socket->fd.get())) return engine_.link_lost(id, now_);
    socket->connecting = false;
    engine_.link_connected(id, now_);
  }
  if ((events & EPOLLOUT) != 0 && socket->blocked) {
    socket->blocked = false;
    flush_link(id);
  }
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
    read_link(id, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

void Worker::read_link(LinkId id, bool to_the_end) noexcept {
  while (true) {
    LinkSocket* socket = link_socket(id);
    const std::span<char> space = engine_.link_space(id);
    if (socket == nullptr || space.empty()) return;
    const ssize_t n = ::recv(socket->fd.get(), space.data(), space.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && would_block()) return;
    if (n <= 0) return engine_.link_lost(id, now_);
    engine_.link_received(id, static_cast<std::size_t>(n), now_);
    if (static_cast<std::size_t>(n) < space.size() && !to_the_end) return;
  }
}

void Worker::flush_link(LinkId id) noexcept {
  if (id.index < links_.size() && (*options_.nodes)[engine_.link_backend(id)].embedded != nullptr)
    return serve_embedded(id);
  LinkSocket* socket = link_socket(id);
  if (socket == nullptr) return;
  std::array<std::string_view, kPiecesMax> pieces;
  while (OutQueue* out = engine_.link_output(id)) {
    if (socket->blocked || socket->connecting) return;
    const std::size_t count = out->front(pieces);
    const ssize_t n = send_pieces(socket->fd.get(), std::span(pieces).first(count));
    if (n < 0) {
      if (errno == EINTR) continue;
      if (!would_block()) return engine_.link_lost(id, now_);
      socket->blocked = true;
      return;
    }
    out->consume(static_cast<std::size_t>(n));
  }
}

// The in-process node: the same bytes, without a socket.
void Worker::serve_embedded(LinkId id) noexcept {
  EmbeddedStore& store = *(*options_.nodes)[engine_.link_backend(id)].embedded;
  LinkSocket& socket = links_[id.index];
  std::string& input = socket.embedded_input;
  std::array<std::string_view, kPiecesMax> pieces;
  while (OutQueue* out = engine_.link_output(id)) {
    while (!out->empty()) {
      const std::size_t count = out->front(pieces);
      for (std::size_t i = 0; i < count; ++i) {
        input += pieces[i];
        out->consume(pieces[i].size());
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

// ---- The engine's wishes

void Worker::carry_out() noexcept {
  engine_.resume(now_);
  while (!engine_.outbox().empty()) {
    std::swap(work_, engine_.outbox());
    for (const LinkId id : work_.close_links)
      if (LinkSocket* socket = link_socket(id); socket != nullptr) socket->fd.reset();
    for (const LinkId id : work_.open_links) open_link(id);
    for (const LinkId id : work_.flush_links) flush_link(id);
    for (const ClientId id : work_.flush_clients) flush_or_hold(id);
    for (const ClientId id : work_.read_clients) {
      ClientSocket* socket = client_socket(id);
      if (socket == nullptr || !socket->unread) continue;
      socket->unread = false;
      read_client(id, true);
    }
    work_.clear();
    engine_.resume(now_);
  }
}

}  // namespace tokenring
